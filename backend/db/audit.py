"""The audit log: append-only, each entry with the hash of the one before (`sql/migrations/0011_identity.sql`)."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import orjson

from backend.cursors import Place
from backend.db.pages import Page, PageRequest, page
from backend.db.pool import Connection
from backend.db.statements import statements
from backend.provenance import note_private
from backend.viewer import NOBODY

SQL = statements("audit")

NOTHING: Final[Mapping[str, object]] = {}
BATCH: Final = 5_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AFTER_ALL: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EntryRow:
    """`microseconds` since 1970, as text of any length: what the hash was made over, whatever may stand there now."""

    sequence: int
    microseconds: str
    actor_id: UUID | None
    act: str
    subject_id: UUID | None
    details: str
    previous_hash: bytes
    hash: bytes

    @property
    def at(self) -> datetime:
        return _EPOCH + timedelta(microseconds=int(self.microseconds))

    @property
    def place(self) -> Place:
        return Place(self.sequence, NOBODY)


@dataclass(frozen=True, slots=True)
class HeadRow:
    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainRow:
    """`name` is the municipality's slug; its id where there is no such municipality."""

    municipality_id: UUID
    name: str
    head: HeadRow | None


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


async def chains(conn: Connection) -> list[ChainRow]:
    """Also of a municipality that isn't there, where an entry says so."""
    return [
        ChainRow(row[0], row[1] or str(row[0]), HeadRow(row[2], row[3]) if row[3] is not None else None)
        for row in await conn.fetch(SQL["chains"])
    ]


async def entries(conn: Connection, *, municipality_id: UUID) -> AsyncGenerator[EntryRow, None]:
    """All in order, some at a time; inside a transaction."""
    async for row in conn.cursor(SQL["entries"], municipality_id, prefetch=BATCH):
        yield EntryRow(*row)


async def heads(conn: Connection) -> dict[str, HeadRow]:
    """The ends of all chains, by the slugs of their municipalities."""
    return {row[0]: HeadRow(row[1], row[2]) for row in await conn.fetch(SQL["heads"])}


async def entry_page(conn: Connection, *, municipality_id: UUID, request: PageRequest) -> Page[EntryRow]:
    """Newest first; read forwards only."""
    note_private()
    beyond = request.beyond.key if request.beyond else _AFTER_ALL
    rows = await conn.fetch(SQL["entry_page"], municipality_id, beyond, request.limit + 1)
    return page([EntryRow(*row) for row in rows], request)


async def subject_types(conn: Connection, *, municipality_id: UUID, ids: Iterable[UUID]) -> dict[UUID, str]:
    """The names of the types of those that are objects of the API."""
    note_private()
    return {row[0]: row[1] for row in await conn.fetch(SQL["subject_types"], municipality_id, list(ids))}
