"""Answers that are the same for everyone, kept as bytes for a moment."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from backend.transport.answers import Answer


class FinishedAnswers:
    """At most `seconds` old, so that a board is right soon enough without knowing what changed it.

    Bounded in number and bytes. Answers with errors are never kept. One call makes an answer that others wait for.
    """

    def __init__(self, *, seconds: float = 1.0, max_answers: int = 2_000, max_bytes: int = 16_000_000) -> None:
        self._seconds = seconds
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: dict[Hashable, tuple[float, Answer]] = {}  # in order of age, for all are kept equally long
        self._making: dict[Hashable, asyncio.Task[Answer]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """Raises what `make` raises."""
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(key)
        if kept and kept[0] > now:
            return kept[1]
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.create_task(self._make(key, make))
        return await asyncio.shield(task)  # whoever leaves, the others still wait for it

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            started = asyncio.get_running_loop().time()
            answer = await make()
            if not answer.has_errors:
                self._keep(key, started, answer)
            return answer
        finally:
            del self._making[key]

    def _keep(self, key: Hashable, started: float, answer: Answer) -> None:
        self._drop(key)
        self._kept[key] = (started + self._seconds, answer)
        self._bytes += len(answer.body)
        now = asyncio.get_running_loop().time()
        while self._kept:
            oldest = next(iter(self._kept))
            full = len(self._kept) > self._max_answers or self._bytes > self._max_bytes
            if not full and self._kept[oldest][0] > now:
                break
            self._drop(oldest)

    def _drop(self, key: Hashable) -> None:
        if old := self._kept.pop(key, None):
            self._bytes -= len(old[1].body)
