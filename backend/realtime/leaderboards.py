"""Where boards are read: from Redis while they are fresh and as deep, else from PostgreSQL; the same answer."""

import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TypeVar
from uuid import UUID

import structlog

from backend.cursors import Place
from backend.db.boards import Board, Entry, Window, board_page, midnight_ranks
from backend.db.pool import Pool, acquire
from backend.metrics import BOARD_PAGES
from backend.provenance import ANY, Span, ideas_of, note_rows, note_today, noted, votes_of
from backend.realtime.boards import Boards
from backend.realtime.changes import Changes
from backend.realtime.redis import REDIS_FAILURES

AVOID_SECONDS = 1.0  # after a failure, so that not every reader waits for the next one
Answer = TypeVar("Answer")

log = structlog.get_logger()


class Leaderboards:
    def __init__(self, pool: Pool, boards: Boards, changes: Changes) -> None:
        self._pool = pool
        self._boards = boards
        self._changes = changes
        self._avoid_until = 0.0

    async def page(self, board: Board, *, today: date, limit: int, beyond: Place | None = None) -> list[Entry]:
        """Up to `limit` places of a board beyond a place."""
        if time.monotonic() >= self._avoid_until:
            entries = await self._unless_down(self._mirrored(board, today=today, limit=limit, beyond=beyond))
            if entries is not None:
                BOARD_PAGES.labels("redis").inc()
                return _noted(board, entries, limit=limit, beyond=beyond)
        return await self.truth(board, today=today, limit=limit, beyond=beyond)

    async def truth(self, board: Board, *, today: date, limit: int, beyond: Place | None = None) -> list[Entry]:
        """The same from PostgreSQL."""
        BOARD_PAGES.labels("postgresql").inc()
        async with acquire(self._pool) as conn:
            entries = await board_page(conn, board, today=today, limit=limit, beyond=beyond)
        return _noted(board, entries, limit=limit, beyond=beyond)

    async def midnight_ranks(self, board: Board, *, today: date, idea_ids: Sequence[UUID]) -> Mapping[UUID, int | None]:
        """The ranks of some ideas on a board as it stood at the last local midnight."""
        note_today()
        if sources := noted():  # votes of today don't move them; a group that comes to own an idea does
            sources.add_list(ideas_of(board.scope_id or board.municipality_id), ANY)
        told: dict[UUID, int | None] = {}
        if time.monotonic() >= self._avoid_until:
            then = replace(board, at_midnight=True)
            told = await self._unless_down(self._boards.ranks(then, today=today, idea_ids=idea_ids)) or {}
        rest = [idea_id for idea_id in idea_ids if idea_id not in told]
        if not rest:
            return told
        async with acquire(self._pool) as conn:
            return told | await midnight_ranks(conn, board, today=today, idea_ids=rest)

    async def _unless_down(self, asked: Awaitable[Answer]) -> Answer | None:
        try:
            return await asked
        except REDIS_FAILURES as error:
            log.info("boards_from_postgresql", error=repr(error))
            self._avoid_until = time.monotonic() + AVOID_SECONDS
            return None

    async def _mirrored(self, board: Board, *, today: date, limit: int, beyond: Place | None) -> list[Entry] | None:
        if not await self._recent(board):
            return None
        return await self._boards.page(board, today=today, limit=limit, beyond=beyond)

    async def _recent(self, board: Board) -> bool:
        """Whether Redis's board may go into a kept answer, which then ends in time for what the board still lacks."""
        sources = noted()
        if sources is None:
            return True
        state = await self._boards.state(board.municipality_id)
        if state is None:
            return True  # then the board isn't read off Redis either
        scope = board.scope_id or board.municipality_id
        seconds = await self._changes.shown_for((ideas_of(scope), votes_of(scope)), state.position)
        if seconds <= 0:
            return False
        sources.position = state.position if sources.position is None else min(sources.position, state.position)
        sources.end(time.time() + seconds)
        return True


def _noted(board: Board, entries: list[Entry], *, limit: int, beyond: Place | None) -> list[Entry]:
    """`limit` is one more than the page holds: who is there tells that there is more."""
    if sources := noted():
        note_rows(*(entry.idea_id for entry in entries))
        span = ANY
        if beyond is None and len(entries) == limit > 1:  # further on, ranks move with votes for places before
            last = entries[-2]
            span = Span("", last.idea_id.hex, 14 if board.window is Window.TRENDING else 1, last.score)
        scope = board.scope_id or board.municipality_id
        sources.add_list(ideas_of(scope), span)
        sources.add_list(votes_of(scope), span)
        if board.window is not Window.ALL_TIME:
            note_today()
    return entries
