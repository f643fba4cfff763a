"""What is wrong in Redis is found and made right, and what is only late is left to the next round."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from backend.db.boards import Board, Window
from backend.db.pool import Pool, open_pool
from backend.ids import parse_id
from backend.realtime.audit import Audit, Found
from backend.realtime.boards import Boards, board_field, board_key, board_of, rebuild_key, state_key, text
from backend.realtime.claims import claimed
from backend.realtime.projector import Projector
from backend.realtime.redis import open_redis
from tests.conftest import Api

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class Mirror:
    """Boards of the same votes in a Redis database of their own, where nobody works but the test."""

    pool: Pool
    boards: Boards
    projector: Projector
    board: Board
    ideas: list[str]
    tokens: list[str]

    async def key(self) -> str:
        return board_key(self.board, await self.generation())

    @property
    def sizes(self) -> str:
        return state_key(self.board.municipality_id)

    async def generation(self) -> str:
        state = await self.boards.state(self.board.municipality_id)
        assert state
        return state.generation

    async def look(self) -> Found:
        return await Audit(self.pool, self.boards, self.board.municipality_id).look()


@pytest.fixture
async def mirror(api: Api, redis_url: str) -> AsyncIterator[Mirror]:
    """Two ideas with three votes and one."""
    ideas, tokens = [await api.idea(), await api.idea()], [await api.token() for _ in range(3)]
    for token in tokens:
        await api.set_vote(ideas[0], token=token)
    await api.set_vote(ideas[1], token=tokens[0])
    redis = open_redis(f"{redis_url}?db=1&socket_timeout=10")
    pool, boards = await open_pool(api.settings.database_url, size=2), Boards(redis)
    projector = Projector(pool, boards, api.app.state.pipeline.gate.services.catalogues)
    await projector.rebuild(api.catalogue.id)
    yield Mirror(pool, boards, projector, Board(api.catalogue.id, None, Window.ALL_TIME), ideas, tokens)
    await pool.close()
    await redis.aclose()


async def test_boards_that_are_as_they_should_be_are_left_alone(api: Api, mirror: Mirror) -> None:
    generation = await mirror.generation()
    assert await mirror.look() == Found()
    await api.set_vote(mirror.ideas[1], token=mirror.tokens[1])
    await mirror.projector.round(api.catalogue.id)
    await mirror.projector.audit(api.catalogue.id)
    assert await mirror.look() == Found()
    assert await mirror.generation() == generation


async def test_what_the_next_round_will_bring_is_no_difference(api: Api, mirror: Mirror) -> None:
    await api.set_vote(mirror.ideas[1], token=mirror.tokens[1])
    await api.idea()
    assert await mirror.look() == Found()


async def delete(mirror: Mirror) -> None:
    await mirror.boards.redis.delete(await mirror.key())


async def forge_a_score(mirror: Mirror) -> None:
    await mirror.boards.redis.zadd(await mirror.key(), {str(parse_id(mirror.ideas[1])[1]): -99})


async def exchange_a_member(mirror: Mirror) -> None:
    key = await mirror.key()
    await mirror.boards.redis.zpopmin(key)
    await mirror.boards.redis.zadd(key, {"not an idea": -3})


async def add_what_is_no_text(mirror: Mirror) -> None:
    await mirror.boards.redis.zadd(await mirror.key(), {b"\xff": -3})


async def forge_a_number_of_members(mirror: Mirror) -> None:
    await mirror.boards.redis.hset(mirror.sizes, board_field(mirror.board), "1")


async def move_the_floor(mirror: Mirror) -> None:
    last = parse_id(mirror.ideas[0])[1]
    await mirror.boards.redis.zrem(await mirror.key(), str(parse_id(mirror.ideas[1])[1]))
    await mirror.boards.redis.hset(mirror.sizes, board_field(mirror.board), f"1 -3 {last}")


async def write_nonsense_for_a_size(mirror: Mirror) -> None:
    await mirror.boards.redis.hset(mirror.sizes, board_field(mirror.board), "many")


async def forget_a_size(mirror: Mirror) -> None:
    await mirror.boards.redis.hdel(mirror.sizes, board_field(mirror.board))


async def forge_a_rank_of_midnight(mirror: Mirror) -> None:
    """Nothing was there yesterday."""
    then = replace(mirror.board, at_midnight=True)
    await mirror.boards.redis.zadd(board_key(then, await mirror.generation()), {str(parse_id(mirror.ideas[0])[1]): 0})
    await mirror.boards.redis.hset(mirror.sizes, board_field(then), "1")


async def put_another_type_there(mirror: Mirror) -> None:
    await mirror.boards.redis.set(await mirror.key(), "not ours")


@pytest.mark.parametrize(
    "harm",
    [
        delete,
        forge_a_score,
        exchange_a_member,
        add_what_is_no_text,
        forge_a_number_of_members,
        move_the_floor,
        write_nonsense_for_a_size,
        forget_a_size,
        forge_a_rank_of_midnight,
        put_another_type_there,
    ],
)
async def test_what_others_wrote_is_found_and_the_boards_made_anew(
    api: Api, mirror: Mirror, harm: Callable[[Mirror], Awaitable[None]]
) -> None:
    await harm(mirror)
    assert (await mirror.look()).refill
    await mirror.projector.audit(api.catalogue.id)
    assert await mirror.look() == Found()
    today = (await api.conn.fetchval("SELECT now() AT TIME ZONE 'Europe/Helsinki'")).date()
    entries = await mirror.boards.page(mirror.board, today=today, limit=10)
    assert entries is not None
    assert [entry.score for entry in entries] == [3, 1]


async def test_what_is_wrong_is_found_in_time_where_an_audit_sees_but_a_part(api: Api, mirror: Mirror) -> None:
    others = [await api.idea() for _ in range(8)]
    await mirror.projector.round(api.catalogue.id)
    for idea_id in (mirror.ideas[1], others[3], others[7]):
        audit = Audit(mirror.pool, mirror.boards, api.catalogue.id, ideas=2)
        scopes = await mirror.boards.redis.hkeys(mirror.sizes)
        board = next(b for b in (board_of(api.catalogue.id, text(name)) for name in scopes) if b and b.scope_id)
        key, member = board_key(board, await mirror.generation()), str(parse_id(idea_id)[1])
        score = await mirror.boards.redis.zscore(key, member)
        await mirror.boards.redis.zadd(key, {member: -99})
        found = [await audit.look() for _ in range(8)]
        assert {board} == set().union(*(each.wrong for each in found))
        await mirror.boards.redis.zadd(key, {member: score or 0})
    assert await mirror.look() == Found()


async def test_only_one_at_a_time_makes_boards_anew_and_nothing_forged_stops_that(mirror: Mirror) -> None:
    redis, key = mirror.boards.redis, rebuild_key(mirror.board.municipality_id)
    async with claimed(redis, key) as first, claimed(redis, key) as second:
        assert (first, second) == (True, False)
        assert await mirror.projector.begin(mirror.board.municipality_id) is False
    await redis.rpush(key, "not ours")
    assert await mirror.projector.begin(mirror.board.municipality_id) is False
    assert await mirror.projector.begin(mirror.board.municipality_id) is True
