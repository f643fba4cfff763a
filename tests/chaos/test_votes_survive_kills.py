"""A1, A2, A5, A10, A11, F2, F8: nothing that was acknowledged is lost, and nothing counts twice, whatever is killed."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

import httpx2
import pytest
from redis.asyncio import Redis

from backend.db.pool import Connection
from tests.chaos import ballots, checks
from tests.chaos.delays import slow_way
from tests.chaos.house import House, Resident, another_server, demo, scratch
from tests.chaos.phones import Phone, Record

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SEED = 20_261_122
RESIDENTS = 60
IDEAS = 6
CALLS = 10_000
KILLS = 20  # of each kind
PHASES = 4  # each ends in a quiescent moment
BACK_SECONDS = 5.0
QUIET_SECONDS = 1.5


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"  # httpx2 on uvloop fails with AttributeError where a connection dies as it is made


@dataclass(slots=True)
class Figures:
    kills: list[tuple[float, str]] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class World:
    house: House
    urls: Sequence[str]
    logs: Sequence[Path]
    client: httpx2.AsyncClient
    residents: Sequence[Resident]
    municipality_id: UUID
    ideas: Sequence[UUID]


@asynccontextmanager
async def world(rng: random.Random) -> AsyncIterator[World]:
    """The demo, another web server whose way to Redis is slow, and residents."""
    limits = httpx2.Limits(max_connections=400, max_keepalive_connections=200)
    with scratch() as folder, demo(folder / "demo") as house:
        there = Path(unquote(urlsplit(house.redis_url).path))
        log, slow = folder / "late.log", there.with_name("late.sock")
        async with slow_way(slow, there, rng), httpx2.AsyncClient(limits=limits) as client:
            with another_server(house, log, HEITTO_REDIS_URL=f"unix://{slow}") as late_url:
                conn = await house.connect()
                municipality_id = await conn.fetchval("SELECT id FROM municipalities WHERE slug = 'ilola'")
                ideas = await conn.fetch(
                    "SELECT id FROM ideas WHERE status = 'OPEN' AND listed ORDER BY id LIMIT $1", IDEAS
                )
                await conn.close()
                residents = await house.residents(RESIDENTS)
                yield World(
                    house,
                    (house.url, house.url, late_url),
                    (house.log, log),
                    client,
                    residents,
                    municipality_id,
                    [idea[0] for idea in ideas],
                )


async def kill_all(house: House, kinds: Sequence[str], pause: float, rng: random.Random, figures: Figures) -> None:
    for kind in kinds:
        while not house.kill(kind, rng.randrange(2)):  # noqa: ASYNC110 # nothing tells when a process is there
            await asyncio.sleep(0.05)
        figures.kills.append((time.monotonic(), kind))
        await asyncio.sleep(rng.uniform(0.5, 1.5) * pause)


def schedule(rng: random.Random) -> list[str]:
    """One phase's kills, mixed; among those of the web one is of the server with all its workers."""
    each = KILLS // PHASES
    kinds = (
        ["web"] * (each - 1) + ["web parent"] + [kind for kind in ("worker", "postgres", "redis") for _ in range(each)]
    )
    rng.shuffle(kinds)
    return kinds


async def phase(world: World, rng: random.Random, record: Record, figures: Figures, *, calls: int) -> None:
    """Votes and kills at the same time, until there were enough of both."""
    killer = asyncio.create_task(kill_all(world.house, schedule(rng), 0.6, rng, figures))

    def going_on() -> bool:
        return len(record.statements) < calls or record.acknowledged < calls // 2 or not killer.done()

    def ideas() -> Sequence[UUID]:
        # By turns: a board that a late writer has set back shows only while no newer vote sets it right.
        return world.ideas[int(time.monotonic() / QUIET_SECONDS) % 2 :: 2]

    phones = [
        Phone(world.client, resident, world.urls, ideas, random.Random(rng.random()), record, pause=0.3)
        for resident in world.residents
        for _ in range(2)
    ]
    await asyncio.gather(*(phone.run(going_on) for phone in phones))
    await killer


async def check(world: World, record: Record, figures: Figures) -> None:
    figures.ready.append(await world.house.ready(world.client, seconds=BACK_SECONDS))
    conn = await world.house.connect()
    redis = Redis.from_url(world.house.redis_url)
    try:
        figures.lags.append(await checks.boards_agree(conn, redis, world.municipality_id, seconds=5))
        assert await checks.miscounts(conn) == []
        assert await checks.api_miscounts(conn, world.client, world.house.url, world.ideas) == []
        rows = await checks.rows(conn, [resident.id for resident in world.residents])
        assert ballots.violations(record.statements, rows, now=datetime.now(UTC)) == []
        await asyncio.sleep(1)  # whoever was late has come by now
        assert await checks.board_differences(conn, redis, world.municipality_id) == []
        assert record.wrong == [], "\n".join(log.read_text()[-5000:] for log in world.logs)
        # Nothing that has happened so far may leave an audit anything to find.
        assert [line for log in world.logs for line in log.read_text().splitlines() if "boards_differ" in line] == []
        await assert_durable(conn)
    finally:
        await redis.aclose()
        with contextlib.suppress(OSError):
            await conn.close()


async def assert_durable(conn: Connection) -> None:
    assert await conn.fetchval("SHOW fsync") == "on"
    assert await conn.fetchval("SHOW synchronous_commit") == "on"


async def test_every_acknowledged_vote_stands_and_counts_once_whatever_is_killed(
    record_property: Callable[[str, object], None],
) -> None:
    rng, record, figures = random.Random(SEED), Record(), Figures()
    async with world(rng) as made:
        for n in range(1, PHASES + 1):
            await phase(made, rng, record, figures, calls=n * CALLS // PHASES)
            await check(made, record, figures)
    kinds = [kind.split()[0] for _, kind in figures.kills]
    assert {kind: kinds.count(kind) for kind in ("web", "worker", "postgres", "redis")} == {
        "web": KILLS,
        "worker": KILLS,
        "postgres": KILLS,
        "redis": KILLS,
    }
    assert len(record.statements) >= CALLS
    assert record.acknowledged >= CALLS // 2
    gap, began = max((after - before, before) for before, after in pairwise(sorted(record.acknowledged_at)))
    meanwhile = [f"{kind} at {at - began:.1f}" for at, kind in figures.kills if began - 1 < at < began + gap]
    for name, value in (
        ("seed", SEED),
        ("calls", len(record.statements)),
        ("outcomes", dict(record.outcomes)),
        ("longest time without an acknowledgement, s", round(gap, 2)),
        ("kills in that time, s after its beginning", meanwhile),
        ("slowest answer, s", round(max(record.seconds), 2)),
        ("all ready again after a phase, s", [round(seconds, 2) for seconds in figures.ready]),
        ("boards in Redis as in SQL after that, s", [round(seconds, 2) for seconds in figures.lags]),
    ):
        record_property(name, value)
        print(f"{name}: {value}")  # noqa: T201 # shown with pytest -s
