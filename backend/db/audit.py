"""The audit log: append-only, each entry with the hash of the one before (`sql/migrations/0011_identity.sql`)."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import orjson

from backend.db.pool import Connection
from backend.db.statements import statements

SQL = statements("audit")

NOTHING: Final[Mapping[str, object]] = {}


async def record(
    conn: Connection,
    *,
    municipality_id: UUID,
    actor_id: UUID | None,
    act: str,
    subject_id: UUID | None = None,
    details: Mapping[str, object] = NOTHING,
) -> None:
    """An act, in the transaction that does it; best as its last statement, since it holds the end of the chain.

    `act` is a verb in the past (ROLE_GRANTED); `actor_id` is None for the command line and for jobs. `details` hold
    ids, codes and numbers, never personal data or what people wrote: they outlive an erasure."""
    told = orjson.dumps(details, option=orjson.OPT_SORT_KEYS, default=str).decode()
    await conn.execute(SQL["record"], municipality_id, actor_id, act, subject_id, told)
