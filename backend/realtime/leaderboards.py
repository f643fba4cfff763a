"""Where a page of a board comes from: Redis while its boards are fresh, else PostgreSQL; the same answer."""

import time
from datetime import date

import structlog

from backend.cursors import Place
from backend.db.boards import Board, Entry, Window, board_page
from backend.db.pool import Pool, acquire
from backend.metrics import BOARD_PAGES
from backend.provenance import ANY, Span, ideas_of, note_rows, note_today, noted, votes_of
from backend.realtime.boards import Boards
from backend.realtime.changes import Changes
from backend.realtime.redis import REDIS_FAILURES

AVOID_SECONDS = 1.0  # after a failure, so that not every reader waits for the next one

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
            try:
                recent = await self._recent(board)
                entries = await self._boards.page(board, today=today, limit=limit, beyond=beyond) if recent else None
            except REDIS_FAILURES as error:
                log.info("boards_from_postgresql", error=repr(error))
                self._avoid_until = time.monotonic() + AVOID_SECONDS
            else:
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
