"""Sessions and their refresh tokens; the rule is in `auth/refresh.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.cursors import Place
from backend.db.pages import Page, PageRequest, page
from backend.db.pool import Connection
from backend.db.statements import statements
from backend.provenance import note_private

SQL = statements("sessions")
MOST: Final = 50  # live ones of an account
PRUNED_AT_ONCE: Final = 5_000  # some tenths of a second
_AFTER_ALL: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A live one. `method` is a `session_method` of the database."""

    id: UUID
    method: str
    device_name: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime

    @property
    def place(self) -> Place:
        return Place(0, self.id)


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
    """The session's id. Beyond MOST, those that were used least lately are ended."""
    await conn.execute(SQL["lock_account"], municipality_id, resident_id)
    made: UUID = await conn.fetchval(
        SQL["start_session"], municipality_id, resident_id, token_hash, now, expires_at, method, device_name
    )
    await conn.execute(SQL["end_oldest_sessions"], municipality_id, resident_id, made, now, MOST - 1)
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


async def is_session_of(conn: Connection, *, municipality_id: UUID, resident_id: UUID, session_id: UUID) -> bool:
    """Whether it is the account's, ended or not."""
    found: bool = await conn.fetchval(SQL["is_session_of"], municipality_id, resident_id, session_id)
    return found


async def has_ended_session(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> bool:
    found: bool = await conn.fetchval(SQL["has_ended_session"], municipality_id, resident_id)
    return found


async def session_page(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, request: PageRequest
) -> Page[SessionRow]:
    """Live ones, the latest begun first; read forwards only."""
    note_private()
    beyond = request.beyond.id if request.beyond else _AFTER_ALL
    rows = await conn.fetch(SQL["session_page"], municipality_id, resident_id, beyond, request.limit + 1)
    return page([SessionRow(*row) for row in rows], request)


async def sessions_by_id(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, SessionRow]:
    """Those of `ids` that are the resident's own live ones."""
    note_private()
    rows = await conn.fetch(SQL["sessions_by_id"], municipality_id, resident_id, ids)
    return {row[0]: SessionRow(*row) for row in rows}


async def prune_sessions(conn: Connection, *, days: int) -> None:
    """Sessions so many days after their end, and spent refresh tokens whose reuse would tell nothing any more."""
    for name, over in (
        ("prune_refresh_tokens", ()),
        ("prune_refresh_tokens_of_sessions", (days,)),
        ("prune_sessions", (days,)),
    ):
        while await conn.execute(SQL[name], PRUNED_AT_ONCE, *over, timeout=60) == f"DELETE {PRUNED_AT_ONCE}":
            pass
