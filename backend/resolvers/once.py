"""Mutations that create something: at most once by key (contract, "Phones on bad networks")."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import TypedDict
from uuid import UUID

import orjson

from backend.context import Context
from backend.db.idempotency import claim_idempotency_key, keep_idempotent_result
from backend.db.pool import Connection
from backend.rules.text import idempotency_key


class _Scope(TypedDict):
    municipality_id: UUID
    caller_id: UUID
    operation: str
    key: str


async def once(
    context: Context,
    conn: Connection,
    *,
    operation: str,
    key: str,
    input: Mapping[str, object],
    make: Callable[[], Awaitable[UUID]],
    caller_id: UUID | None = None,
) -> UUID:
    """What `make` makes in this transaction, or what it made when the key came first. Only success is kept, since a
    failure takes the key's row back with everything else. `caller_id` is the viewer where left out.

    Raises BadUserInput for a key that can be guessed, Refusal IDEMPOTENCY_KEY_REUSED and CONFLICT.
    """
    secret = context.services.settings.secret_key.get_secret_value().encode()
    told = orjson.dumps(input, option=orjson.OPT_SORT_KEYS, default=str)
    scope: _Scope = {
        "municipality_id": context.municipality_id,
        "caller_id": context.viewer.id if caller_id is None else caller_id,
        "operation": operation,
        "key": idempotency_key(key),
    }
    input_hash = hmac.digest(secret, told, hashlib.sha256)
    earlier = await claim_idempotency_key(conn, **scope, input_hash=input_hash)
    if earlier is not None:
        return earlier
    made = await make()
    await keep_idempotent_result(conn, **scope, result_id=made)
    return made
