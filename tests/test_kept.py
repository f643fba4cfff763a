"""Reads that are kept: who waits for whom, and until when."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from backend.provenance import note_rows, noting
from backend.realtime.kept import KeptReads
from tests.transport.toy import ToyFeed

pytestmark = pytest.mark.anyio

IDEA = UUID(int=7)


def reader(gate: asyncio.Event) -> tuple[Callable[[], Awaitable[int]], list[int]]:
    """A read of IDEA that waits for the gate and gives how often it was called, as of when it began."""
    calls: list[int] = []

    async def read() -> int:
        calls.append(len(calls) + 1)
        number = len(calls)
        note_rows(IDEA)
        await gate.wait()
        return number

    return read, calls


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


async def test_who_asks_meanwhile_or_later_gets_the_same_read_until_it_changes() -> None:
    feed, gate = ToyFeed(), asyncio.Event()
    kept, (read, calls) = KeptReads(feed), reader(gate)
    asking = [asyncio.create_task(kept.get("key", read, tomorrow)) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*asking) == [1, 1, 1]
    assert await kept.get("key", read, tomorrow) == 1
    feed.change(UUID(int=8).hex)
    assert await kept.get("key", read, tomorrow) == 1
    feed.change(IDEA.hex)
    assert await kept.get("key", read, tomorrow) == 2
    feed.verified_until = -1
    assert await kept.get("key", read, tomorrow) == 3
    assert calls == [1, 2, 3]


async def test_who_has_changed_something_never_gets_a_read_that_began_before() -> None:
    feed, gate = ToyFeed(), asyncio.Event()
    kept, (read, _) = KeptReads(feed), reader(gate)
    before = asyncio.create_task(kept.get("key", read, tomorrow))
    await asyncio.sleep(0.01)
    feed.doubted_at = asyncio.get_running_loop().time()
    feed.change(IDEA.hex)
    after = asyncio.create_task(kept.get("key", read, tomorrow))
    await asyncio.sleep(0.01)
    gate.set()
    assert (await before, await after) == (1, 2)


async def test_who_waits_may_leave_without_the_others() -> None:
    feed, gate = ToyFeed(), asyncio.Event()
    kept, (read, calls) = KeptReads(feed), reader(gate)
    first, second = (asyncio.create_task(kept.get("key", read, tomorrow)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await second == 1
    assert calls == [1]


async def test_an_answer_made_from_a_kept_read_has_its_sources() -> None:
    feed, gate = ToyFeed(), asyncio.Event()
    gate.set()
    kept, (read, _) = KeptReads(feed), reader(gate)
    for _ in range(2):
        with noting() as sources:
            await kept.get("key", read, tomorrow)
        assert sources.ids == {IDEA.hex}


async def test_a_read_that_fails_after_its_caller_left_is_nobodys_to_report() -> None:
    gate, told = asyncio.Event(), list[dict[str, Any]]()
    kept = KeptReads(ToyFeed())

    async def read() -> int:
        await gate.wait()
        raise ZeroDivisionError

    asking = asyncio.create_task(kept.get("key", read, tomorrow))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: told.append(context))
    try:
        gate.set()
        await asyncio.sleep(0.01)
        gc.collect()
    finally:
        loop.set_exception_handler(before)
    assert told == []
