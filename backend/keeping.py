"""What all share that keep something until what it was made from changes: whether it still holds, and who makes it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from backend.provenance import Sources

JOIN_SECONDS: Final = (
    0.5  # a call that is older was too long ago to read from for who comes now: they wait for the next
)

T = TypeVar("T")


class Feed(Protocol):
    """Tells what changed. `sequence` grows when something did; `position` is where to ask on from, by any process;
    `doubted_at` is when something was last committed here that must show at once."""

    verified_until: float
    asked_at: float
    doubted_at: float
    sequence: int
    position: int

    async def verify(self) -> bool:
        """Whether what is told is fresh: nothing kept may be served otherwise."""

    def changed(self, sources: Sources, since: int) -> bool: ...


def holds(feed: Feed, sources: Sources, checked: int) -> bool | None:
    """Whether what was made from `sources`, and held at the sequence `checked`, still does; None where nobody knows."""
    now = asyncio.get_running_loop().time()
    if now >= feed.verified_until:
        return None
    feed.asked_at = now
    return time.time() < sources.ends_at and (checked == feed.sequence or not feed.changed(sources, checked))


@dataclass(frozen=True, slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    began: float


class Flights(Generic[T]):
    """One call makes what others wait for."""

    def __init__(self, feed: Feed | None) -> None:
        self._feed = feed
        self._under_way: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T | None:
        """What `make`, or a call under way, gives. None where that call began too long ago to speak for now, or before
        something was committed here: it is over, and the caller looks again. Raises what `make` raises."""
        now = asyncio.get_running_loop().time()
        flight = self._under_way.get(key)
        if flight is None:
            flight = self._under_way[key] = _Flight(asyncio.create_task(self._fly(key, make)), now)
            flight.task.add_done_callback(_forgive)
        elif now - flight.began > JOIN_SECONDS or (self._feed and flight.began <= self._feed.doubted_at):
            await asyncio.wait([flight.task])
            return None
        return await asyncio.shield(flight.task)  # whoever leaves, the others still wait for it

    async def _fly(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        try:
            return await make()
        finally:
            del self._under_way[key]


def _forgive(task: asyncio.Task[T]) -> None:
    """A failure is its callers' to report; where all have left, it is nobody's."""
    if not task.cancelled():
        task.exception()
