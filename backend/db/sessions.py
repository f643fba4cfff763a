"""Sessions and their refresh tokens; the rule is in `auth/refresh.py`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.db.pool import Connection
from backend.db.statements import statements

SQL = statements("sessions")


@dataclass(frozen=True, slots=True)
class PresentedTokenRow:
    session_id: UUID
    resident_id: UUID
    token_hash: bytes
    parent_hash: bytes | None
    head_hash: bytes
    expires_at: datetime
    ended_at: datetime | None


async def start_session(
    conn: Connection,
    *,
    municipality_id: UUID,
    resident_id: UUID,
    token_hash: bytes,
    now: datetime,
    expires_at: datetime,
    method: str,
    device_name: str | None = None,
) -> UUID:
    """The session's id."""
    made: UUID = await conn.fetchval(
        SQL["start_session"], municipality_id, resident_id, token_hash, now, expires_at, method, device_name
    )
    return made


async def begin_command_session(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, now: datetime, expires_at: datetime
) -> UUID:
    """A session that can't be refreshed, for an access token that a command gives out; its id."""
    made: UUID = await conn.fetchval(SQL["begin_command_session"], municipality_id, resident_id, now, expires_at)
    return made


async def lock_session_by_refresh_token(
    conn: Connection, *, municipality_id: UUID, token_hash: bytes
) -> PresentedTokenRow | None:
    """The token with its session, locked until the transaction ends."""
    row = await conn.fetchrow(SQL["lock_session_by_refresh_token"], municipality_id, token_hash)
    return PresentedTokenRow(*row) if row else None


async def rotate_session(
    conn: Connection,
    *,
    municipality_id: UUID,
    presented: PresentedTokenRow,
    successor_hash: bytes,
    now: datetime,
    expires_at: datetime,
) -> None:
    await conn.execute(
        SQL["rotate_session"],
        municipality_id,
        presented.session_id,
        presented.token_hash,
        successor_hash,
        now,
        expires_at,
    )


async def end_session(conn: Connection, *, municipality_id: UUID, session_id: UUID, now: datetime) -> None:
    """For good; its access tokens are called back."""
    await conn.execute(SQL["end_session"], municipality_id, session_id, now)


async def end_sessions(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, now: datetime, but: UUID | None = None
) -> list[UUID]:
    """All of an account `but` one; the ids of those that were ended."""
    return [row[0] for row in await conn.fetch(SQL["end_sessions"], municipality_id, resident_id, but, now)]
