"""Whoever comes late to Redis with what was read earlier changes nothing there."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest

from backend.db.boards import Board, Entry, Standing, Window
from backend.realtime.boards import BATCHES, Boards, Depths, Staged, State, board_key
from backend.realtime.redis import open_redis

pytestmark = pytest.mark.anyio

MUNICIPALITY, IDEA, OTHER, DISTRICT, ELSEWHERE = (UUID(int=n) for n in range(1, 6))
STATE = State("20261122-test", "2026-11-22", 100, 0, "first", 0, Depths(1000, 1000))


def standing(idea_id: UUID, votes: int, *, district: UUID = DISTRICT, listed: bool = True) -> Standing:
    left = {DISTRICT, ELSEWHERE} - {district}
    return Standing(idea_id, listed, (district,), tuple(left), dict.fromkeys(Window, votes))


async def begun(boards: Boards, generation: str, ideas: list[UUID]) -> bool:
    """A generation of ideas with one vote each; whether all of it was written."""
    start = replace(STATE, generation=generation, as_of=await boards.now())
    await boards.begin(MUNICIPALITY, start)
    places = [Entry(n + 1, 1, idea_id) for n, idea_id in enumerate(ideas)]
    held = {Board(MUNICIPALITY, scope, window): places for scope in (None, DISTRICT) for window in Window}
    staged = Staged(generation, 100, await boards.stage(start, held), len(BATCHES))
    return await boards.apply(MUNICIPALITY, start, [], position=100, as_of=await boards.now(), staged=staged)


@pytest.fixture
async def boards(redis_url: str) -> AsyncIterator[Boards]:
    """With two ideas of one vote each."""
    redis = open_redis(f"{redis_url}?socket_timeout=10")  # nobody waits for it here, however busy the machine
    boards = Boards(redis)
    assert await begun(boards, STATE.generation, [IDEA, OTHER])
    yield boards
    await redis.aclose()


async def seen(boards: Boards) -> State:
    """What a projector reads before it asks PostgreSQL."""
    state = await boards.state(MUNICIPALITY)
    assert state
    return state


async def write(boards: Boards, state: State, *standings: Standing, position: int) -> bool:
    return await boards.apply(MUNICIPALITY, state, standings, position=position, as_of=await boards.now())


async def shown(boards: Boards, scope: UUID | None = None, window: Window = Window.ALL_TIME) -> dict[UUID, int]:
    board = Board(MUNICIPALITY, scope, window)
    entries = await boards.page(board, today=date.fromisoformat(STATE.today), limit=10)
    assert entries is not None
    return {entry.idea_id: entry.score for entry in entries}


async def test_what_was_read_earlier_and_comes_late_changes_nothing(boards: Boards) -> None:
    both = await seen(boards)
    assert await write(boards, both, standing(IDEA, 30, district=ELSEWHERE), position=130)
    assert not await write(boards, both, standing(IDEA, 20), standing(OTHER, 7), position=120)
    for window in Window:
        assert await shown(boards, window=window) == {IDEA: 30, OTHER: 1}
        assert await shown(boards, ELSEWHERE, window) == {IDEA: 30}
        assert await shown(boards, DISTRICT, window) == {OTHER: 1}
    # So it reads anew, and nothing is lost: the position stayed where nobody had read less.
    state = await seen(boards)
    assert state.position == 130
    assert await write(boards, state, standing(OTHER, 7), position=131)
    assert await shown(boards) == {IDEA: 30, OTHER: 7}


async def test_an_idea_hidden_meanwhile_is_not_brought_back_by_a_late_writer(boards: Boards) -> None:
    both = await seen(boards)
    assert await write(boards, both, standing(IDEA, 3, listed=False), position=130)
    assert not await write(boards, both, standing(IDEA, 2), position=120)
    assert await shown(boards) == {OTHER: 1}
    assert await shown(boards, DISTRICT) == {OTHER: 1}


async def test_what_is_not_of_this_generation_or_day_is_not_written(boards: Boards) -> None:
    state = await seen(boards)
    for other in (replace(state, generation="another"), replace(state, today="2026-11-21")):
        assert not await write(boards, other, standing(IDEA, 2), position=120)
    assert await shown(boards) == {IDEA: 1, OTHER: 1}


async def test_writers_at_once_leave_the_newest_of_each_idea(boards: Boards) -> None:
    votes = {IDEA: 1, OTHER: 100}

    async def project() -> None:
        while True:
            state = await seen(boards)
            votes[IDEA], votes[OTHER] = votes[IDEA] + 1, votes[OTHER] - 1
            read = [standing(idea_id, count) for idea_id, count in votes.items()]
            await asyncio.sleep(0)
            if await write(boards, state, *read, position=120):
                return

    await asyncio.gather(*(project() for _ in range(8)))
    state = await seen(boards)
    newest = dict(votes)
    assert await write(boards, state, *(standing(idea_id, count) for idea_id, count in newest.items()), position=120)
    assert await shown(boards) == newest


async def test_of_writers_at_once_that_saw_the_same_one_writes(boards: Boards) -> None:
    state = await seen(boards)
    wrote = await asyncio.gather(*(write(boards, state, standing(IDEA, n), position=120) for n in range(2, 50)))
    assert sum(wrote) == 1
    assert await shown(boards) == {IDEA: 2 + wrote.index(True), OTHER: 1}


async def test_boards_of_which_redis_lost_a_part_while_they_were_made_are_not_believed(boards: Boards) -> None:
    ideas = [UUID(int=n) for n in range(10, 40)]
    board, today = Board(MUNICIPALITY, None, Window.ALL_TIME), date.fromisoformat(STATE.today)

    async def empty(after: float) -> None:
        await asyncio.sleep(after)
        await boards.redis.flushall()

    believed = 0
    for n in range(60):
        await asyncio.gather(begun(boards, f"{STATE.generation}{n}", ideas), empty(n / 5_000))
        entries = await boards.page(board, today=today, limit=100)
        assert entries is None or [entry.idea_id for entry in entries] == ideas
        believed += entries is not None
    assert believed < 60


@pytest.mark.parametrize("harm", ["emptied", "a member more", "a member less"])
async def test_a_board_with_other_members_than_it_was_given_is_not_believed(boards: Boards, harm: str) -> None:
    key = board_key(Board(MUNICIPALITY, None, Window.ALL_TIME), STATE.generation)
    if harm == "emptied":
        await boards.redis.delete(key)
    elif harm == "a member more":
        await boards.redis.zadd(key, {str(UUID(int=9)): -5})
    else:
        await boards.redis.zrem(key, str(IDEA))
    board = Board(MUNICIPALITY, None, Window.ALL_TIME)
    today = date.fromisoformat(STATE.today)
    assert await boards.page(board, today=today, limit=10) is None
    assert await write(boards, await seen(boards), standing(IDEA, 2), standing(OTHER, 2), position=120)
    assert await boards.page(board, today=today, limit=10) is None
