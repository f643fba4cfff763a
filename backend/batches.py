"""What arrives at the same moment is done at once: one statement, one round trip, and to each its own outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Batches(Generic[Item, Outcome]):
    """While one batch is carried out the next one gathers; nothing waits on purpose.

    `carry_out` gives an outcome for each item in turn; what it raises is everybody's of that batch. Of those whose
    `apart` is equal only the first is in a batch: the others are carried out after it, in their order.
    """

    def __init__(
        self,
        carry_out: Callable[[list[Item]], Awaitable[Sequence[Outcome]]],
        *,
        largest: int,
        apart: Callable[[Item], Hashable] | None = None,
    ) -> None:
        self._carry_out = carry_out
        self._largest = largest
        self._apart = apart
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def outcome(self, item: Item) -> Outcome:
        """The item is carried out even if its caller goes away."""
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        """Batches until nobody waits. It leaves in the same breath in which it sees that: whoever comes after starts
        the next one."""
        try:
            while self._waiting:
                await asyncio.sleep(0)  # lets in whoever has come to this point in the same turn of the loop
                await self._do(self._next())
        finally:
            self._worker = None

    async def _do(self, batch: Sequence[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        try:
            outcomes = await self._carry_out([item for item, _ in batch])
            for (_, answer), outcome in zip(batch, outcomes, strict=True):
                if not answer.done():  # a caller who went away
                    answer.set_result(outcome)
        except Exception as error:  # whatever it was, every caller must hear of it
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
        finally:
            for _, answer in batch:
                answer.cancel()  # of those that know nothing yet: this task was cancelled

    def _next(self) -> list[tuple[Item, asyncio.Future[Outcome]]]:
        if self._apart is None:
            batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
            return batch
        batch, rest = list[tuple[Item, asyncio.Future[Outcome]]](), list[tuple[Item, asyncio.Future[Outcome]]]()
        seen = set[Hashable]()
        for waiting in self._waiting:
            key = self._apart(waiting[0])
            (rest if key in seen or len(batch) == self._largest else batch).append(waiting)
            seen.add(key)
        self._waiting = rest
        return batch
