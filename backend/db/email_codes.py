"""Sign-in codes and links that were mailed."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from backend.db.pool import LONG_SECONDS, Connection
from backend.db.statements import statements

SQL = statements("email_codes")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One under way. Not shown in logs."""

    id: UUID
    email_hash: bytes = field(repr=False)
    sealed_email: str = field(repr=False)
    code_hash: bytes = field(repr=False)
    locale: str


async def request_email_code(
    conn: Connection, challenge: Challenge, *, municipality_id: UUID, resident_id: UUID | None, link_hash: bytes
) -> datetime:
    """Keeps a new challenge in place of the address's last one; when it ends."""
    ends: datetime = await conn.fetchval(
        SQL["request_email_code"],
        municipality_id,
        challenge.id,
        challenge.email_hash,
        challenge.sealed_email,
        challenge.code_hash,
        link_hash,
        resident_id,
        challenge.locale,
    )
    return ends


async def try_email_code(
    conn: Connection, *, municipality_id: UUID, id: UUID, resident_id: UUID | None
) -> Challenge | None:
    """The challenge, with one try less to go; None where there is none, it ended, has no try left or is another's.
    Counts outside of the transaction that would refuse."""
    row = await conn.fetchrow(SQL["try_email_code"], municipality_id, id, resident_id)
    return Challenge(*row) if row else None


async def email_code_of_link(
    conn: Connection, *, municipality_id: UUID, link_hash: bytes, resident_id: UUID | None
) -> Challenge | None:
    row = await conn.fetchrow(SQL["email_code_of_link"], municipality_id, link_hash, resident_id)
    return Challenge(*row) if row else None


async def spend_email_code(conn: Connection, *, municipality_id: UUID, id: UUID) -> bool:
    """Whether it was still there to be used."""
    return await conn.fetchval(SQL["spend_email_code"], municipality_id, id) is not None


async def prune_email_codes(conn: Connection) -> None:
    await conn.execute(SQL["prune_email_codes"], timeout=LONG_SECONDS)
