"""Logins with a provider that have begun and not yet ended."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.db.pool import LONG_SECONDS, Connection
from backend.db.statements import statements

SQL = statements("logins")


@dataclass(frozen=True, slots=True)
class LoginAttemptRow:
    """`code_challenge` is the app's own; `resident_id` is who began it."""

    provider_id: str
    redirect_uri: str
    code_challenge: str | None
    locale: str
    resident_id: UUID | None
    expires_at: datetime


async def begin_login(conn: Connection, *, municipality_id: UUID, state_hash: bytes, attempt: LoginAttemptRow) -> None:
    await conn.execute(
        SQL["begin_login"],
        municipality_id,
        state_hash,
        attempt.provider_id,
        attempt.redirect_uri,
        attempt.code_challenge,
        attempt.locale,
        attempt.resident_id,
        attempt.expires_at,
    )


async def take_login(
    conn: Connection, *, municipality_id: UUID, state_hash: bytes, resident_id: UUID | None, now: datetime
) -> LoginAttemptRow | None:
    """The login, which is gone from here on; None where it isn't there, isn't this account's or has expired."""
    row = await conn.fetchrow(SQL["take_login"], municipality_id, state_hash, resident_id, now)
    return LoginAttemptRow(*row) if row else None


async def prune_logins(conn: Connection) -> None:
    await conn.execute(SQL["prune_logins"], timeout=LONG_SECONDS)
