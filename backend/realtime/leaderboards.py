"""Where a page of a board comes from: Redis while its boards are fresh, else PostgreSQL; the same answer."""

import time
from datetime import date

import structlog

from backend.cursors import Place
from backend.db.boards import Board, Entry, board_page
from backend.db.pool import Pool, acquire
from backend.metrics import BOARD_PAGES
from backend.realtime.boards import Boards
from backend.realtime.redis import REDIS_FAILURES

AVOID_SECONDS = 1.0  # after a failure, so that not every reader waits for the next one

log = structlog.get_logger()


class Leaderboards:
    def __init__(self, pool: Pool, boards: Boards) -> None:
        self._pool = pool
        self._boards = boards
        self._avoid_until = 0.0

    async def page(self, board: Board, *, today: date, limit: int, beyond: Place | None = None) -> list[Entry]:
        """Up to `limit` places of a board beyond a place."""
        if time.monotonic() >= self._avoid_until:
            try:
                entries = await self._boards.page(board, today=today, limit=limit, beyond=beyond)
            except REDIS_FAILURES as error:
                log.info("boards_from_postgresql", error=repr(error))
                self._avoid_until = time.monotonic() + AVOID_SECONDS
            else:
                if entries is not None:
                    BOARD_PAGES.labels("redis").inc()
                    return entries
        return await self.truth(board, today=today, limit=limit, beyond=beyond)

    async def truth(self, board: Board, *, today: date, limit: int, beyond: Place | None = None) -> list[Entry]:
        """The same from PostgreSQL."""
        BOARD_PAGES.labels("postgresql").inc()
        async with acquire(self._pool) as conn:
            return await board_page(conn, board, today=today, limit=limit, beyond=beyond)
