"""Where boards are read: from Redis while they are fresh and as deep, else from PostgreSQL; the same answer."""

import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TypeVar
from uuid import UUID

import structlog

from backend.cursors import Place
from backend.db.boards import Board, Entry, board_page, midnight_ranks
from backend.db.pool import Pool, acquire
from backend.metrics import BOARD_PAGES
from backend.realtime.boards import Boards
from backend.realtime.redis import REDIS_FAILURES

AVOID_SECONDS = 1.0  # after a failure, so that not every reader waits for the next one
Answer = TypeVar("Answer")

log = structlog.get_logger()


class Leaderboards:
    def __init__(self, pool: Pool, boards: Boards) -> None:
        self._pool = pool
        self._boards = boards
        self._avoid_until = 0.0

    async def page(self, board: Board, *, today: date, limit: int, beyond: Place | None = None) -> list[Entry]:
        """Up to `limit` places of a board beyond a place."""
        if time.monotonic() >= self._avoid_until:
            entries = await self._unless_down(self._boards.page(board, today=today, limit=limit, beyond=beyond))
            if entries is not None:
                BOARD_PAGES.labels("redis").inc()
                return entries
        return await self.truth(board, today=today, limit=limit, beyond=beyond)

    async def truth(self, board: Board, *, today: date, limit: int, beyond: Place | None = None) -> list[Entry]:
        """The same from PostgreSQL."""
        BOARD_PAGES.labels("postgresql").inc()
        async with acquire(self._pool) as conn:
            return await board_page(conn, board, today=today, limit=limit, beyond=beyond)

    async def midnight_ranks(self, board: Board, *, today: date, idea_ids: Sequence[UUID]) -> Mapping[UUID, int | None]:
        """The ranks of some ideas on a board as it stood at the last local midnight."""
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
