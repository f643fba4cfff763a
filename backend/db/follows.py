"""Who follows which idea."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from backend.cursors import Place
from backend.db.ideas import IdeaRow
from backend.db.pages import Page, PageRequest, page
from backend.db.pool import Connection
from backend.db.statements import statements
from backend.db.votes import VoteRow
from backend.provenance import note_private
from backend.viewer import NOBODY, Viewer

SQL = statements("follows")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_AFTER_ALL: Final = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FollowRow:
    followed_at: datetime
    idea: IdeaRow

    @property
    def place(self) -> Place:
        return Place((self.followed_at - _EPOCH) // _MICROSECOND, self.idea.id)


async def set_follow(
    conn: Connection, *, municipality_id: UUID, viewer: Viewer, idea_id: UUID, following: bool
) -> bool:
    """Whether there is such an idea for the viewer; where not, nothing was changed."""
    statement = SQL["follow" if following else "unfollow"]
    found: bool = await conn.fetchval(statement, municipality_id, viewer.moderates, viewer.id, idea_id)
    return found


@dataclass(frozen=True, slots=True)
class MarkRow:
    """What a resident did to an idea: the vote that stands, and whether they follow it."""

    idea_id: UUID
    vote: VoteRow | None
    follows: bool


async def viewer_marks(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, idea_ids: Sequence[UUID]
) -> list[MarkRow]:
    """Those of the ideas that a resident votes for or follows."""
    note_private()
    rows = await conn.fetch(SQL["viewer_marks"], municipality_id, resident_id, idea_ids)
    return [MarkRow(row[0], VoteRow(row[1], row[2]) if row[1] else None, row[3]) for row in rows]


async def follow_page(
    conn: Connection, *, municipality_id: UUID, viewer: Viewer, request: PageRequest
) -> Page[FollowRow]:
    """The listed ideas the viewer follows, newest follow first; read forwards only."""
    note_private()
    followed_at, idea_id = _AFTER_ALL, NOBODY
    if request.beyond:
        followed_at, idea_id = _EPOCH + request.beyond.key * _MICROSECOND, request.beyond.id
    rows = await conn.fetch(
        SQL["follow_page"], municipality_id, viewer.moderates, viewer.id, followed_at, idea_id, request.limit + 1
    )
    return page([FollowRow(row[0], IdeaRow._make(row[1:])) for row in rows], request)
