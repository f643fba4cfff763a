"""Reads for the objects of a level: what many of them need in one statement, each seeing what the viewer may see."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from backend.db import follows, groups, ideas, notifications, residents, responses, sessions
from backend.db.boards import Board
from backend.db.follows import MarkRow
from backend.db.groups import GroupRow, MemberRow
from backend.db.ideas import IdeaFilter, IdeaRow, PlacedIdea
from backend.db.notifications import NotificationRow
from backend.db.pages import Page, PageRequest
from backend.db.pool import acquire
from backend.db.responses import ResponseRow
from backend.db.sessions import SessionRow
from backend.db.votes import VoteRow

if TYPE_CHECKING:
    from backend.context import Context


class Reads:
    """Answers are by key, without what isn't there for the viewer; pages are in the order of their parents. They are of
    now, but for what `Context.kept` may give."""

    def __init__(self, context: "Context") -> None:
        self._context = context

    async def ideas(self, ids: Iterable[UUID | None]) -> dict[UUID, IdeaRow]:
        wanted = _keys(ids)
        if not wanted:
            return {}
        async with acquire(self._context.pool) as conn:
            rows = await ideas.ideas_by_id(conn, **self._context.scope, ids=wanted)
        return {row.id: row for row in rows}

    async def idea(self, id: UUID) -> IdeaRow | None:
        return (await self.ideas([id])).get(id)

    async def viewer_votes(self, idea_ids: Iterable[UUID]) -> dict[UUID, VoteRow]:
        """The viewer's own that stand; none for callers without an account."""
        return {mark.idea_id: mark.vote for mark in await self._viewer_marks(_keys(idea_ids)) if mark.vote}

    async def viewer_follows(self, idea_ids: Iterable[UUID]) -> set[UUID]:
        """Which of the ideas the viewer follows; none for callers without an account."""
        return {mark.idea_id for mark in await self._viewer_marks(_keys(idea_ids)) if mark.follows}

    async def _viewer_marks(self, idea_ids: list[UUID]) -> list[MarkRow]:
        """What the viewer did to ideas: one statement for all who ask for the same ideas at the same time."""
        if not idea_ids or self._context.viewer.resident_id is None:
            return []
        running, key = self._context.running, tuple(idea_ids)
        reading: asyncio.Future[list[MarkRow]] | None = running.get(key)
        if reading is None:
            reading = running[key] = asyncio.ensure_future(self._read_viewer_marks(idea_ids))
            reading.add_done_callback(lambda _: running.pop(key))
        return await asyncio.shield(reading)  # whoever leaves, the others still wait for it

    async def _read_viewer_marks(self, idea_ids: list[UUID]) -> list[MarkRow]:
        async with acquire(self._context.pool) as conn:
            return await follows.viewer_marks(conn, **self._context.own, idea_ids=idea_ids)

    async def names(self, ids: Iterable[UUID | None]) -> dict[UUID, str]:
        """Of residents; not of those who were forgotten."""
        wanted = _keys(ids)
        if not wanted:
            return {}
        async with acquire(self._context.pool) as conn:
            return await residents.display_names(conn, municipality_id=self._context.municipality_id, ids=wanted)

    async def groups(self, ids: Iterable[UUID | None]) -> dict[UUID, GroupRow]:
        wanted = _keys(ids)
        if not wanted:
            return {}
        async with acquire(self._context.pool) as conn:
            return await groups.groups_by_id(conn, municipality_id=self._context.municipality_id, ids=wanted)

    async def group(self, id: UUID) -> GroupRow | None:
        return (await self.groups([id])).get(id)

    async def groups_of_ideas(self, idea_ids: Iterable[UUID]) -> dict[UUID, list[GroupRow]]:
        async with acquire(self._context.pool) as conn:
            return await groups.groups_of_ideas(
                conn, municipality_id=self._context.municipality_id, idea_ids=_keys(idea_ids)
            )

    async def viewer_group_roles(self, group_ids: Iterable[UUID | None]) -> dict[UUID, str]:
        """What the viewer is in groups; nothing for callers without an account."""
        wanted = _keys(group_ids)
        if not wanted or self._context.viewer.resident_id is None:
            return {}
        async with acquire(self._context.pool) as conn:
            return await groups.viewer_group_roles(conn, **self._context.own, group_ids=wanted)

    async def member_pages(self, group_ids: Sequence[UUID], request: PageRequest) -> list[Page[MemberRow]]:
        async with acquire(self._context.pool) as conn:
            return await groups.member_pages(conn, **self._context.scope, group_ids=group_ids, request=request)

    async def group_idea_pages(
        self, group_ids: Sequence[UUID], order: str, request: PageRequest
    ) -> list[Page[PlacedIdea]]:
        async with acquire(self._context.pool) as conn:
            return await ideas.idea_pages(
                conn,
                **self._context.scope,
                today=self._context.today(),
                order=order,
                filter=IdeaFilter(),
                request=request,
                group_ids=group_ids,
            )

    async def midnight_ranks(self, board: Board, idea_ids: Iterable[UUID]) -> Mapping[UUID, int | None]:
        return await self._context.services.leaderboards.midnight_ranks(
            board, today=self._context.today(), idea_ids=_keys(idea_ids)
        )

    async def responses(self, ids: Iterable[UUID | None]) -> dict[UUID, ResponseRow]:
        wanted = _keys(ids)
        if not wanted:
            return {}
        async with acquire(self._context.pool) as conn:
            return await responses.responses_by_id(conn, **self._context.scope, ids=wanted)

    async def latest_responses(self, idea_ids: Iterable[UUID]) -> dict[UUID, ResponseRow]:
        wanted = _keys(idea_ids)

        async def read() -> dict[UUID, ResponseRow]:
            async with acquire(self._context.pool) as conn:
                return await responses.latest_responses(
                    conn, municipality_id=self._context.municipality_id, idea_ids=wanted
                )

        # Whoever may see an idea may see these, and a page is asked for by many.
        return await self._context.kept(("latest_responses", *wanted), read)

    async def response_pages(self, idea_ids: Sequence[UUID], request: PageRequest) -> list[Page[ResponseRow]]:
        async with acquire(self._context.pool) as conn:
            return await responses.response_pages(
                conn, municipality_id=self._context.municipality_id, idea_ids=idea_ids, request=request
            )

    async def notifications(self, ids: Iterable[UUID]) -> dict[UUID, NotificationRow]:
        async with acquire(self._context.pool) as conn:
            return await notifications.notifications_by_id(conn, **self._context.own, ids=_keys(ids))

    async def sessions(self, ids: Iterable[UUID]) -> dict[UUID, SessionRow]:
        async with acquire(self._context.pool) as conn:
            return await sessions.sessions_by_id(conn, **self._context.own, ids=_keys(ids))


def _keys(ids: Iterable[UUID | None]) -> list[UUID]:
    """Each once."""
    return list(dict.fromkeys(filter(None, ids)))
