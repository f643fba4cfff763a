"""Reads that are the same for everyone, kept as rows until what they were made from changes.

Where a whole answer can't be shared, since it has something of the viewer in it, most of what it is made from can:
the places of a board, the responses to their ideas. What is kept is what finished answers are made from too, and
ends as they do: when the feed tells of a change, and when it would change by itself.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from backend.provenance import Sources, noted, noting
from backend.realtime.changes import Changes

MOST: Final = 512  # reads, of a page each: some 30 kB

T = TypeVar("T")


@dataclass(slots=True)
class _Kept:
    value: Any  # Any: of whoever asked for it
    sources: Sources
    checked: int


class KeptReads:
    """One a process. One call reads what others wait for."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._reading: dict[Hashable, asyncio.Task[_Kept]] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]], day_ends: Callable[[], datetime]) -> T:
        """`day_ends` tells when the municipality's local day does. Raises what `read` raises."""
        kept = self._kept.get(key)
        if kept is None or not self._holds(kept):
            task = self._reading.get(key)
            if task is None:
                task = self._reading[key] = asyncio.create_task(self._read(key, read, day_ends))
                task.add_done_callback(lambda _: self._reading.pop(key, None))
            kept = await asyncio.shield(task)  # whoever leaves, the others still wait for it
        if outer := noted():
            outer.add(kept.sources)
        return cast("T", kept.value)  # cast: a key is used for one kind of read

    def _holds(self, kept: _Kept) -> bool:
        changes, now = self._changes, asyncio.get_running_loop().time()
        changes.asked_at = now
        if now >= changes.verified_until or time.time() >= kept.sources.ends_at:
            return False
        if kept.checked != changes.sequence:
            if changes.changed(kept.sources, kept.checked):
                return False
            kept.checked = changes.sequence
        return True

    async def _read(self, key: Hashable, read: Callable[[], Awaitable[T]], day_ends: Callable[[], datetime]) -> _Kept:
        verified = await self._changes.verify()
        known = self._kept.get(key)
        if known and self._holds(known):  # it had only to be verified
            return known
        since = self._changes.sequence
        with noting() as sources:
            sources.day_ends = day_ends().timestamp()
            kept = _Kept(await read(), sources, since)
        if verified and sources.shareable:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return kept
