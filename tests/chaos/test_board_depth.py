"""Boards hold their best places only. So far they are PostgreSQL's, and a reader knows where they end."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

import pytest

from backend.db.boards import Board, Entry, Standing, Window, board_page, midnight_ranks
from backend.db.ideas import SQL as IDEAS
from backend.db.ideas import place_idea
from backend.db.pool import Pool, open_pool
from backend.ids import global_id, parse_id
from backend.realtime import projector as rounds
from backend.realtime.audit import Audit, Found
from backend.realtime.boards import (
    BATCHES,
    KEPT_SECONDS,
    Boards,
    Depths,
    Staged,
    State,
    board_key,
    state_key,
    text,
)
from backend.realtime.changes import Changes
from backend.realtime.leaderboards import Leaderboards
from backend.realtime.projector import Projector, depths
from backend.realtime.redis import open_redis
from tests.conftest import Api

pytestmark = pytest.mark.anyio

PLACES = 4
MUNICIPALITY, SCOPE = UUID(int=1), UUID(int=2)
BOARD = Board(MUNICIPALITY, None, Window.ALL_TIME)
START = State("20261122-test", "2026-11-22", 100, 0, "first", 0, Depths(PLACES, PLACES))


@pytest.fixture
async def boards(redis_url: str) -> AsyncIterator[Boards]:
    redis = open_redis(f"{redis_url}?db=1&socket_timeout=10")
    await redis.flushdb()
    yield Boards(redis)
    await redis.aclose()


async def held(boards: Boards, *votes: int) -> None:
    """A board read whole: ideas 1, 2, 3 ... with so many votes."""
    start = replace(START, as_of=await boards.now())
    await boards.begin(MUNICIPALITY, start)
    ranking = sorted(enumerate(votes, start=1), key=lambda place: (-place[1], place[0]))
    entries = [Entry(n, count, UUID(int=idea)) for n, (idea, count) in enumerate(ranking, start=1)]
    staged = Staged(START.generation, 100, await boards.stage(start, {BOARD: entries}), len(BATCHES))
    assert await boards.apply(MUNICIPALITY, start, [], position=100, as_of=start.as_of, staged=staged)


async def change(boards: Boards, **votes: int | None) -> None:
    """Idea `i3` has so many votes now; None hides it."""
    state = await boards.state(MUNICIPALITY)
    assert state
    standings = [
        Standing(UUID(int=int(idea[1:])), count is not None, (), (), dict.fromkeys(Window, count or 0))
        for idea, count in votes.items()
    ]
    assert await boards.apply(MUNICIPALITY, state, standings, position=100, as_of=await boards.now())


async def ideas(boards: Boards, limit: int) -> list[int] | None:
    entries = await boards.page(BOARD, today=date.fromisoformat(START.today), limit=limit)
    return None if entries is None else [entry.idea_id.int for entry in entries]


async def test_a_board_is_cut_off_and_says_nothing_of_what_is_below(boards: Boards) -> None:
    await held(boards, 9, 8, 7, 6, 5)
    assert await ideas(boards, 4) == [1, 2, 3, 4]
    assert await ideas(boards, 5) is None
    await held(boards, 9, 8, 7, 6)
    assert await ideas(boards, 5) == [1, 2, 3, 4]


async def test_ties_at_the_floor_are_broken_by_age(boards: Boards) -> None:
    await held(boards, 9, 5, 5, 5, 5, 5)
    await change(boards, i6=5, i5=5)
    assert await ideas(boards, 4) == [1, 2, 3, 4]
    # Taken off, 3 may come back by the same votes, since it stands above the floor; 5 may not.
    await change(boards, i3=1)
    assert await ideas(boards, 3) == [1, 2, 4]
    await change(boards, i5=5, i3=5)
    assert await ideas(boards, 4) == [1, 2, 3, 4]


async def test_who_falls_below_the_floor_leaves_and_who_rises_above_it_comes(boards: Boards) -> None:
    await held(boards, 9, 8, 7, 6, 5)
    await change(boards, i4=5, i5=6)
    # 5 has what 4 had, but is younger than who stood there: whether another is in between nobody knows.
    assert await ideas(boards, 3) == [1, 2, 3]
    assert await ideas(boards, 4) is None
    await change(boards, i5=7)
    assert await ideas(boards, 4) == [1, 2, 3, 5]


async def test_a_board_that_grows_is_cut_off_again_higher(boards: Boards) -> None:
    await held(boards, 9, 8, 7, 6, 5)
    await change(boards, i11=20, i12=21)
    assert await ideas(boards, 6) == [12, 11, 1, 2, 3, 4]
    await change(boards, i13=22)
    assert await ideas(boards, 4) == [13, 12, 11, 1]
    assert await ideas(boards, 5) is None
    await change(boards, i2=8)
    assert await ideas(boards, 5) is None
    await change(boards, i2=10)
    assert await ideas(boards, 5) == [13, 12, 11, 2, 1]


async def test_hiding_at_the_floor_leaves_the_board_shorter_and_showing_brings_it_back(boards: Boards) -> None:
    await held(boards, 9, 8, 7, 6, 5)
    await change(boards, i4=None, i1=None)
    assert await ideas(boards, 2) == [2, 3]
    assert await ideas(boards, 3) is None
    await change(boards, i4=6, i1=9)
    assert await ideas(boards, 4) == [1, 2, 3, 4]


async def test_a_board_that_was_empty_vanishes_by_itself_like_the_others(boards: Boards) -> None:
    await held(boards)
    assert await ideas(boards, 4) == []
    await change(boards, i1=1)
    assert await ideas(boards, 4) == [1]
    keys = [key async for key in boards.redis.scan_iter(match=f"{{{MUNICIPALITY}}}:board:*")]
    assert {text(key) for key in keys} >= {board_key(BOARD, START.generation)}
    for key in keys:
        assert KEPT_SECONDS - 60 < await boards.redis.ttl(key) <= KEPT_SECONDS


async def test_what_a_lost_generation_left_is_freed_by_the_next(boards: Boards) -> None:
    await held(boards, 3, 2, 1)
    await boards.redis.delete(state_key(MUNICIPALITY))
    await boards.begin(MUNICIPALITY, replace(START, generation="next"))
    assert [key async for key in boards.redis.scan_iter(match=f"{{{MUNICIPALITY}}}:board:*")] == []


async def test_depths_keep_all_boards_of_a_municipality_within_bounds() -> None:
    for scopes in (0, 1, 50, 350, 10_400):
        depth = depths(scopes)
        most = depth.most(BOARD) + scopes * depth.most(replace(BOARD, scope_id=SCOPE))
        assert depth.least(BOARD) == 10_000
        assert most * len(BATCHES) / 2 <= max(rounds.HELD, scopes * 30 * len(BATCHES) / 2 + 120_000)


@dataclass(frozen=True, slots=True)
class World:
    """A municipality whose boards hold four places, in a Redis database of their own."""

    api: Api
    pool: Pool
    boards: Boards
    ideas: list[str]
    tokens: list[str]
    themes: list[UUID]

    def projector(self) -> Projector:
        return Projector(self.pool, self.boards, self.api.app.state.pipeline.gate.services.catalogues, places=PLACES)

    @property
    def municipality_id(self) -> UUID:
        return self.api.catalogue.id

    def every_board(self) -> list[Board]:
        scopes = (None, *self.themes)
        return [
            Board(self.municipality_id, scope, window, midnight)
            for scope, window, midnight in itertools.product(scopes, Window, (False, True))
        ]

    async def today(self) -> date:
        today: date = await self.api.conn.fetchval("SELECT (now() AT TIME ZONE 'Europe/Helsinki')::date")
        return today

    async def filled(self, projector: Projector) -> None:
        """All boards are held, those of midnight too."""
        while not await projector.fill(self.municipality_id):  # noqa: ASYNC110 # others may be at it
            await asyncio.sleep(0.05)

    async def something(self, rng: random.Random) -> None:
        """Happens: mostly a vote."""
        idea, kind, conn = rng.choice(self.ideas), rng.random(), self.api.conn
        of = {"municipality_id": self.municipality_id, "idea_id": parse_id(idea)[1]}
        if kind < 0.7:
            await self.api.set_vote(idea, token=rng.choice(self.tokens), voted=rng.random() < 0.6)
        elif kind < 0.8:
            owner = await conn.fetchrow(
                "SELECT district_id, latitude, longitude, department_id, post_id FROM ideas WHERE id = $1",
                of["idea_id"],
            )
            async with conn.transaction():
                await conn.execute(IDEAS["edit_idea"], *of.values(), "Muu", "", rng.choice(self.themes), *(owner or ()))
                await conn.execute(IDEAS["touch_tally"], *of.values())
        elif kind < 0.95:
            async with conn.transaction():
                await place_idea(conn, **of, status="OPEN", hidden_reason=rng.choice((None, "Sääntö 3")))
        else:
            self.ideas.append(await self.api.idea(themeId=global_id("Theme", rng.choice(self.themes))))

    async def compare(self) -> int:
        """Every board is PostgreSQL's as far as it goes; how many places that was."""
        today, places = await self.today(), 0
        for board in self.every_board():
            truth = await board_page(self.api.conn, board, today=today, limit=1000)
            for limit in (PLACES, 3, 1):
                entries = await self.boards.page(board, today=today, limit=limit)
                assert entries is None or entries == truth[:limit], board
                places += len(entries or ())
        return places

    async def whole(self, projector: Projector) -> None:
        """After a round and an audit boards are as deep as they should be, and nothing is wrong."""
        await projector.round(self.municipality_id)
        await projector.audit(self.municipality_id)
        assert await Audit(self.pool, self.boards, self.municipality_id).look() == Found()
        today, deep = await self.today(), Leaderboards(self.pool, self.boards, Changes(self.pool))
        for board in self.every_board():
            truth = await board_page(self.api.conn, board, today=today, limit=1000)
            assert await self.boards.page(board, today=today, limit=PLACES) == truth[:PLACES], board
            ids = [parse_id(idea)[1] for idea in self.ideas]
            if not board.at_midnight:
                told = await deep.midnight_ranks(board, today=today, idea_ids=ids)
                known = await midnight_ranks(self.api.conn, board, today=today, idea_ids=ids)
                assert {id: rank for id, rank in told.items() if rank} == known
                read, page = [], await deep.page(board, today=today, limit=3)
                while page:
                    read += page
                    page = await deep.page(board, today=today, limit=3, beyond=page[-1].place)
                assert read == truth


@pytest.fixture
async def world(api: Api, boards: Boards) -> AsyncIterator[World]:
    """Ten ideas, of which four got votes yesterday."""
    themes = list(itertools.islice(api.catalogue.themes, 2))
    tokens = [await api.token() for _ in range(4)]
    ideas = [await api.idea(themeId=global_id("Theme", themes[n % 2])) for n in range(10)]
    for n, token in itertools.product(range(4), tokens):
        if n <= tokens.index(token):
            await api.set_vote(ideas[n], token=token)
    await api.conn.execute("UPDATE votes SET cast_at = cast_at - interval '1 day'")
    await api.conn.execute("UPDATE idea_tallies SET changed_on = changed_on - 1")
    await api.conn.execute("UPDATE tally_days SET changed_on = changed_on - 1, day = day - 1")
    await api.conn.execute("UPDATE ideas SET placed_on = placed_on - 1, was_listed = true")
    pool = await open_pool(api.settings.database_url, size=6)
    yield World(api, pool, boards, ideas, tokens, themes)
    pool.terminate()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_happens_boards_are_postgresqls_as_far_as_they_go(world: World, seed: int) -> None:
    rng, projector = random.Random(seed), world.projector()
    await projector.begin(world.municipality_id)
    await world.filled(projector)
    places = 0
    for _ in range(30):
        for _ in range(rng.randrange(1, 8)):
            await world.something(rng)
        assert await projector.round(world.municipality_id)
        places += await world.compare()
        if rng.random() < 0.2:
            await world.whole(projector)
    await world.whole(projector)
    assert places > 1000


async def test_projectors_at_once_leave_what_postgresql_has(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They read little at a time, so that they come between each other, and one makes everything anew meanwhile."""
    monkeypatch.setattr(rounds, "CHUNK", 2)
    monkeypatch.setattr(rounds, "MOST_PAGES", 1000)
    rng, projectors, going_on = random.Random(7), [world.projector() for _ in range(4)], True

    async def project(projector: Projector) -> None:
        while going_on:
            await projector.round(world.municipality_id)
            await projector.fill(world.municipality_id)

    async with asyncio.TaskGroup() as tasks:
        for projector in projectors:
            tasks.create_task(project(projector))
        for n in range(120):
            await world.something(rng)
            if n % 40 == 20:
                await projectors[0].begin(world.municipality_id)
        going_on = False
    await world.filled(projectors[0])
    await world.whole(projectors[0])


async def test_a_board_read_whole_while_votes_come_in_catches_up_before_it_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "CHUNK", 2)
    projector, other, today = world.projector(), world.projector(), await world.today()
    await projector.begin(world.municipality_id)
    for _ in BATCHES:
        state = await world.boards.state(world.municipality_id)
        assert state
        staged = await projector._stage_batch(world.municipality_id, state)
        assert staged
        for idea in world.ideas[5:]:
            await world.api.set_vote(idea, token=world.tokens[0], voted=state.filled % 2 == 0)
        await other.round(world.municipality_id)
        assert await projector.round(world.municipality_id, staged)
        board = Board(world.municipality_id, None, Window.ALL_TIME)
        truth = await board_page(world.api.conn, board, today=today, limit=PLACES)
        assert await world.boards.page(board, today=today, limit=PLACES) == truth
    await world.whole(projector)


async def test_boards_put_aside_are_adopted_by_no_other_generation(world: World) -> None:
    projector, today = world.projector(), await world.today()
    await projector.begin(world.municipality_id)
    state = await world.boards.state(world.municipality_id)
    assert state
    staged = await projector._stage_batch(world.municipality_id, state)
    assert staged
    await projector.begin(world.municipality_id)
    assert not await projector._adopt(world.municipality_id, staged)
    assert await world.boards.page(Board(world.municipality_id, None, Window.ALL_TIME), today=today, limit=1) is None
    for _, key in staged.names.values():
        assert not await world.boards.redis.exists(key)


async def test_a_filling_that_was_killed_is_gone_on_with_by_another(world: World) -> None:
    projector, other = world.projector(), world.projector()
    await projector.begin(world.municipality_id)
    filling = asyncio.create_task(projector.fill(world.municipality_id))
    while True:
        state = await world.boards.state(world.municipality_id)
        if state and state.filled > 2:
            break
        await asyncio.sleep(0)
    filling.cancel()
    await asyncio.wait([filling])
    await world.filled(other)
    after = await world.boards.state(world.municipality_id)
    assert after
    assert after.generation == state.generation
    await world.whole(other)


async def test_more_changes_than_a_round_carries_make_boards_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    projector = world.projector()
    await projector.rebuild(world.municipality_id)
    before = await world.boards.state(world.municipality_id)
    monkeypatch.setattr(rounds, "CHUNK", 2)
    monkeypatch.setattr(rounds, "MOST_PAGES", 2)
    for idea in world.ideas:
        await world.api.set_vote(idea, token=world.tokens[0])
    assert not await projector.round(world.municipality_id)
    after = await world.boards.state(world.municipality_id)
    assert before
    assert after
    assert after.generation != before.generation
    await world.filled(projector)
    await world.whole(projector)
