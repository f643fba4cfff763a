import asyncio

import pytest

from backend.batches import Batches

pytestmark = pytest.mark.anyio


class Doubling:
    """Doubles what it is given; a batch goes on when it is let go, a negative number is refused."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def __call__(self, items: list[int]) -> list[int]:
        self.seen.append(items)
        await self.let_go.wait()
        if min(items) < 0:
            raise ValueError(min(items))
        return [2 * item for item in items]


async def test_what_arrives_at_once_is_one_batch_and_each_gets_its_own_outcome() -> None:
    double = Doubling()
    batches = Batches(double, largest=100)
    assert await asyncio.gather(*map(batches.outcome, range(50))) == [2 * n for n in range(50)]
    assert double.seen == [list(range(50))]
    assert await batches.outcome(7) == 14


async def test_what_arrives_meanwhile_is_the_next_batch_no_larger_than_allowed() -> None:
    double = Doubling()
    batches = Batches(double, largest=2)
    double.let_go.clear()
    first = asyncio.create_task(batches.outcome(1))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(batches.outcome(n)) for n in (2, 3, 4)]
    await asyncio.sleep(0.01)
    assert double.seen == [[1]]
    double.let_go.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert double.seen == [[1], [2, 3], [4]]


async def test_those_to_be_kept_apart_keep_their_order() -> None:
    double = Doubling()
    batches = Batches(double, largest=100, apart=lambda item: item % 10)
    await asyncio.gather(*map(batches.outcome, (1, 2, 11, 21, 12, 3)))
    assert double.seen == [[1, 2, 3], [11, 12], [21]]


async def test_a_failure_is_everybodys_of_that_batch_and_nobody_elses() -> None:
    batches = Batches(Doubling(), largest=2)
    outcomes = await asyncio.gather(*map(batches.outcome, (1, -1, 2, 3, 4)), return_exceptions=True)
    assert list(map(type, outcomes)) == [ValueError, ValueError, int, int, int]
    assert outcomes[2:] == [4, 6, 8]


async def test_who_goes_away_holds_nobody_up_and_is_carried_out() -> None:
    double = Doubling()
    batches = Batches(double, largest=100)
    double.let_go.clear()
    gone, stays = asyncio.create_task(batches.outcome(1)), asyncio.create_task(batches.outcome(2))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0)
    double.let_go.set()
    assert await stays == 4
    assert double.seen == [[1, 2]]


async def test_a_batch_that_is_cancelled_leaves_nobody_waiting_and_others_go_on() -> None:
    double = Doubling()
    batches = Batches(double, largest=1)
    double.let_go.clear()
    lost, next_one = asyncio.create_task(batches.outcome(1)), asyncio.create_task(batches.outcome(2))
    await asyncio.sleep(0.01)
    assert batches._worker
    batches._worker.cancel()
    await asyncio.wait([lost])
    assert lost.cancelled()
    double.let_go.set()
    assert [*await asyncio.gather(batches.outcome(3), next_one)] == [6, 4]
