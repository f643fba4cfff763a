"""STAND-IN of branch `oidc` until `identity` lands."""

from collections.abc import Sequence
from uuid import UUID

from backend.db.pool import Connection
from backend.db.statements import statements

SQL = statements("stand_in")


async def resident_of(
    conn: Connection, *, municipality_id: UUID, identities: Sequence[tuple[str, bytes]]
) -> UUID | None:
    kinds, hashes = [kind for kind, _ in identities], [hash for _, hash in identities]
    found: UUID | None = await conn.fetchval(SQL["resident_of"], municipality_id, kinds, hashes)
    return found


async def prove(
    conn: Connection,
    *,
    municipality_id: UUID,
    resident_id: UUID,
    identities: Sequence[tuple[str, bytes]],
    strength: str,
) -> None:
    kinds, hashes = [kind for kind, _ in identities], [hash for _, hash in identities]
    await conn.execute(SQL["prove"], municipality_id, resident_id, kinds, hashes, strength)
