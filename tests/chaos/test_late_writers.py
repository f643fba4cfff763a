"""Whoever comes late to Redis with what was read earlier changes nothing there."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from uuid import UUID

import pytest

from backend.db.boards import Board, Standing, Window
from backend.realtime.boards import Boards, State, board_key
from backend.realtime.redis import open_redis

pytestmark = pytest.mark.anyio

MUNICIPALITY, IDEA, OTHER, DISTRICT, ELSEWHERE = (UUID(int=n) for n in range(1, 6))
STATE = State("20261122-test", "2026-11-22", 100, 0)


def standing(idea_id: UUID, version: int, votes: int, *, district: UUID = DISTRICT, listed: bool = True) -> Standing:
    return Standing(idea_id, version, listed, (district,), dict.fromkeys(Window, votes))


@pytest.fixture
async def boards(redis_url: str) -> AsyncIterator[Boards]:
    """With two ideas of one vote each."""
    redis = open_redis(redis_url)
    boards = Boards(redis)
    start = State(STATE.generation, STATE.today, STATE.position, await boards.now())
    await boards.replace(MUNICIPALITY, start, [standing(IDEA, 1, 1), standing(OTHER, 1, 1)])
    yield boards
    await redis.aclose()


async def write(boards: Boards, *standings: Standing, since: int, position: int) -> bool:
    state = State(STATE.generation, STATE.today, since, 0)
    return await boards.apply(MUNICIPALITY, state, standings, position=position, as_of=await boards.now())


async def shown(boards: Boards, scope: UUID | None = None, window: Window = Window.ALL_TIME) -> dict[UUID, int]:
    board = Board(MUNICIPALITY, scope, window)
    entries = await boards.page(board, today=date.fromisoformat(STATE.today), limit=10)
    assert entries is not None
    return {entry.idea_id: entry.score for entry in entries}


async def test_an_older_standing_that_comes_late_changes_nothing(boards: Boards) -> None:
    assert await write(boards, standing(IDEA, 3, 30, district=ELSEWHERE), since=100, position=130)
    assert await write(boards, standing(IDEA, 2, 20), standing(OTHER, 2, 7), since=100, position=120)
    for window in Window:
        assert await shown(boards, window=window) == {IDEA: 30, OTHER: 7}
        assert await shown(boards, ELSEWHERE, window) == {IDEA: 30}
        assert await shown(boards, DISTRICT, window) == {OTHER: 7}
    state = await boards.state(MUNICIPALITY)
    assert state
    assert state.position == 130


async def test_an_idea_hidden_meanwhile_is_not_brought_back_by_a_late_writer(boards: Boards) -> None:
    assert await write(boards, standing(IDEA, 3, 3, listed=False), since=100, position=130)
    assert await write(boards, standing(IDEA, 2, 2), since=100, position=120)
    assert await shown(boards) == {OTHER: 1}
    assert await shown(boards, DISTRICT) == {OTHER: 1}


async def test_what_was_read_since_a_later_position_is_not_written_on_an_older_state(boards: Boards) -> None:
    assert not await write(boards, standing(IDEA, 2, 2), since=101, position=120)
    assert await shown(boards) == {IDEA: 1, OTHER: 1}


async def test_writers_at_once_leave_the_newest_of_each_idea(boards: Boards) -> None:
    read = [[standing(IDEA, n, n), standing(OTHER, 51 - n, 51 - n)] for n in range(2, 50)]
    assert all(await asyncio.gather(*(write(boards, *each, since=100, position=120) for each in read)))
    assert await shown(boards) == {IDEA: 49, OTHER: 49}


async def test_boards_of_which_redis_lost_a_part_while_they_were_made_are_not_believed(boards: Boards) -> None:
    ideas = [UUID(int=n) for n in range(10, 40)]
    board, today = Board(MUNICIPALITY, None, Window.ALL_TIME), date.fromisoformat(STATE.today)

    async def empty(after: float) -> None:
        await asyncio.sleep(after)
        await boards.redis.flushall()

    for n in range(60):
        start = State(f"{STATE.generation}{n}", STATE.today, STATE.position, await boards.now())
        made = boards.replace(MUNICIPALITY, start, [standing(idea_id, 1, 1) for idea_id in ideas])
        await asyncio.gather(made, empty(n / 10_000))
        entries = await boards.page(board, today=today, limit=100)
        assert entries is None or [entry.idea_id for entry in entries] == ideas


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
    assert await write(boards, standing(IDEA, 2, 2), standing(OTHER, 2, 2), since=100, position=120)
    assert await boards.page(board, today=today, limit=10) is None
