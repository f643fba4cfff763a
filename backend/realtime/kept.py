"""Reads that are the same for everyone, kept as rows until what they were made from changes.

Where a whole answer can't be shared, since it has something of the viewer in it, most of what it is made from can:
the places of a board, the responses to their ideas. What is kept is what finished answers are made from too, and
ends as they do: when the feed tells of a change, and when it would change by itself.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from backend.keeping import Feed, Flights, holds
from backend.provenance import Sources, noted, noting

MOST: Final = 512  # reads, of a page each: some 30 kB

T = TypeVar("T")


@dataclass(slots=True)
class _Kept:
    value: Any  # Any: of whoever asked for it
    sources: Sources
    checked: int


class KeptReads:
    """One a process. One call reads what others wait for."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._flights: Flights[_Kept] = Flights(feed)

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]], day_ends: Callable[[], datetime]) -> T:
        """`day_ends` tells when the municipality's local day does. Raises what `read` raises."""
        kept = self._found(key)
        while kept is None:
            kept = await self._flights.join(key, lambda: self._read(key, read, day_ends)) or self._found(key)
        if outer := noted():
            outer.add(kept.sources)
        return cast("T", kept.value)  # cast: a key is used for one kind of read

    def _found(self, key: Hashable) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is None or not holds(self._feed, kept.sources, kept.checked):
            return None
        kept.checked = self._feed.sequence
        return kept

    async def _read(self, key: Hashable, read: Callable[[], Awaitable[T]], day_ends: Callable[[], datetime]) -> _Kept:
        verified = await self._feed.verify()
        if known := self._found(key):  # it had only to be verified
            return known
        since = self._feed.sequence
        with noting() as sources:
            sources.day_ends = day_ends().timestamp()
            kept = _Kept(await read(), sources, since)
        if verified and sources.shareable:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return kept
