"""Keys that make a repeated mutation have the effect of one."""

from uuid import UUID

import asyncpg

from backend.db.pool import Connection
from backend.db.statements import statements
from backend.errors import Refusal

SQL = statements("idempotency")


async def claim_idempotency_key(
    conn: Connection, *, municipality_id: UUID, caller_id: UUID, operation: str, key: str, input_hash: bytes
) -> UUID | None:
    """Takes the key for this transaction, None; or the id of what it made before.

    Raises Refusal IDEMPOTENCY_KEY_REUSED where it came with another input, CONFLICT where its first use is still
    under way after 2 s.
    """
    scope = (municipality_id, caller_id, operation, key)
    await conn.execute("SET LOCAL lock_timeout = '2s'")
    try:
        if await conn.fetchval(SQL["claim_idempotency_key"], *scope, input_hash):
            await conn.execute("SET LOCAL lock_timeout = '1s'")
            return None
    except asyncpg.LockNotAvailableError:
        raise Refusal("CONFLICT", "idempotencyKey") from None
    row = await conn.fetchrow(SQL["idempotent_result"], *scope)
    if row is None:  # its first use ended without success between the two statements
        raise Refusal("CONFLICT", "idempotencyKey")
    if row["input_hash"] != input_hash:
        raise Refusal("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")
    result: UUID = row["result_id"]
    return result


async def keep_idempotent_result(
    conn: Connection, *, municipality_id: UUID, caller_id: UUID, operation: str, key: str, result_id: UUID
) -> None:
    await conn.execute(SQL["keep_idempotent_result"], municipality_id, caller_id, operation, key, result_id)


async def prune_idempotency_keys(conn: Connection) -> None:
    await conn.execute(SQL["prune_idempotency_keys"], timeout=60)
