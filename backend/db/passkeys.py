"""Passkeys of staff, and what they have yet to sign."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.db.pool import LONG_SECONDS, Connection
from backend.db.statements import statements
from backend.provenance import note_private

SQL = statements("passkeys")


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    """As its owner sees it."""

    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """As it is verified; `public_key` is a COSE_Key."""

    id: UUID
    resident_id: UUID
    public_key: bytes
    sign_count: int


async def add_challenge(
    conn: Connection,
    *,
    municipality_id: UUID,
    resident_id: UUID | None,
    challenge: bytes,
    expires_at: datetime,
) -> UUID:
    """For a new passkey of an account, or where that is None for signing in."""
    made: UUID = await conn.fetchval(SQL["add_challenge"], municipality_id, resident_id, challenge, expires_at)
    return made


async def take_challenge(
    conn: Connection, *, municipality_id: UUID, id: UUID, resident_id: UUID | None
) -> bytes | None:
    """Spends it, for the purpose it was made for alone."""
    challenge: bytes | None = await conn.fetchval(SQL["take_challenge"], municipality_id, id, resident_id)
    return challenge


async def prune_challenges(conn: Connection) -> None:
    await conn.execute(SQL["prune_challenges"], timeout=LONG_SECONDS)


async def passkeys_of(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> list[PasskeyRow]:
    note_private()
    return [PasskeyRow(*row) for row in await conn.fetch(SQL["passkeys_of"], municipality_id, resident_id)]


async def add_passkey(
    conn: Connection,
    *,
    municipality_id: UUID,
    resident_id: UUID,
    credential_hash: bytes,
    public_key: bytes,
    sign_count: int,
    name: str,
) -> PasskeyRow | None:
    """None where the credential is known already."""
    row = await conn.fetchrow(
        SQL["add_passkey"], municipality_id, resident_id, credential_hash, public_key, sign_count, name
    )
    return PasskeyRow(*row) if row else None


async def credential(conn: Connection, *, municipality_id: UUID, credential_hash: bytes) -> CredentialRow | None:
    row = await conn.fetchrow(SQL["credential"], municipality_id, credential_hash)
    return CredentialRow(*row) if row else None


async def use_passkey(conn: Connection, *, municipality_id: UUID, id: UUID, sign_count: int) -> bool:
    """Whether it may be used so: not once it is gone, nor where it has been used with as high a count."""
    return await conn.fetchval(SQL["use_passkey"], municipality_id, id, sign_count) is not None


async def remove_passkey(conn: Connection, *, municipality_id: UUID, resident_id: UUID, id: UUID) -> PasskeyRow | None:
    row = await conn.fetchrow(SQL["remove_passkey"], municipality_id, resident_id, id)
    return PasskeyRow(*row) if row else None
