"""Acts of a kind, counted one by one: by account, by network, in Redis and without."""

import asyncio
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from backend.errors import RateLimited
from backend.realtime.allowances import ALLOWANCES, Allowances, Kind
from backend.realtime.redis import Client, open_redis

pytestmark = pytest.mark.anyio

ILOLA, MUULA = uuid4(), uuid4()
HERE, THERE = "192.0.2.1", "2001:db8::/64"
SECRET = b"s" * 32
NOWHERE = "unix:///nonexistent/valkey.sock"


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def allowances(redis: Client, clock: Clock | None = None, **changed: bool) -> Allowances:
    return Allowances(redis, secret=SECRET, enabled=changed.get("enabled", True), clock=clock or Clock())


async def allowed(
    these: Allowances, kind: Kind, subject: object, *, times: int = 1_000, network: str = HERE, where: UUID = ILOLA
) -> int:
    """How many acts in a row are let through."""
    for done in range(times):
        try:
            await these.take(kind, municipality_id=where, subjects=[subject], network=network)
        except RateLimited:
            return done
    return times


async def wait_after(these: Allowances, kind: Kind, subject: object, network: str = HERE) -> int:
    with pytest.raises(RateLimited) as refused:
        await these.take(kind, municipality_id=ILOLA, subjects=[subject], network=network)
    return refused.value.retry_after


@pytest.mark.parametrize("kind", [kind for kind, each in ALLOWANCES.items() if each.subject])
async def test_an_account_may_do_so_many_at_once(redis: Redis, kind: Kind) -> None:
    least = min(pace.at_once for pace in ALLOWANCES[kind].subject)
    these = allowances(redis)
    assert await allowed(these, kind, "aino") == least
    assert await allowed(these, kind, "eino") == least


@pytest.mark.parametrize("kind", list(ALLOWANCES))
async def test_a_network_may_do_more_and_then_no_account_behind_it_may(redis: Redis, kind: Kind) -> None:
    these = allowances(redis)
    done = 0
    while await allowed(these, kind, uuid4(), times=1):
        done += 1
    assert done == min(pace.at_once for pace in ALLOWANCES[kind].network)
    assert await allowed(these, kind, uuid4(), times=1, network=THERE) == 1


async def test_the_wait_is_that_of_the_slowest(redis: Redis) -> None:
    these = allowances(redis)
    assert await allowed(these, "CODES", "aino") == 5
    assert 329 <= await wait_after(these, "CODES", "aino") <= 330
    assert await allowed(these, "IDEAS", "aino") == 5
    assert 719 <= await wait_after(these, "IDEAS", "aino") <= 720


async def test_twenty_ideas_a_day_whatever_the_hours(redis: Redis) -> None:
    these = allowances(redis)
    hour = f"{{{ILOLA}}}:allowed:IDEAS:*:0"
    done = 0
    for _ in range(8):
        done += await allowed(these, "IDEAS", "aino")
        for key in await redis.keys(hour):  # hours go by
            await redis.delete(key)
    assert done == 20
    assert await wait_after(these, "IDEAS", "aino") > 4_000


async def test_what_is_refused_is_not_counted(redis: Redis) -> None:
    these = allowances(redis)
    await allowed(these, "CODES", "aino")
    before = {key: await redis.get(key) for key in await redis.keys()}
    for _ in range(20):
        await wait_after(these, "CODES", "aino")
    assert {key: await redis.get(key) for key in await redis.keys()} == before


async def test_parallel_acts_are_counted_one_by_one(redis: Redis) -> None:
    several = [allowances(redis) for _ in range(3)]
    took = await asyncio.gather(*(allowed(each, "CODES", "aino", times=1) for each in several * 10))
    assert sum(took) == 5


async def test_kinds_and_municipalities_are_counted_apart(redis: Redis) -> None:
    these = allowances(redis)
    assert await allowed(these, "CODES", "aino") == 5
    assert await allowed(these, "CODE_TRIES", "aino") == 5
    assert await allowed(these, "CODES", "aino", where=MUULA) == 5


async def test_redis_is_told_no_address_no_network_and_forgets_when_the_bucket_is_full(redis: Redis) -> None:
    await allowed(allowances(redis), "CODES", "aino@example.org", times=2)
    keys = [str(key) for key in await redis.keys()]
    assert len(keys) == 2
    assert all(key.startswith(f"b'{{{ILOLA}}}:allowed:CODES:") for key in keys)
    assert not [key for key in keys if "aino" in key or HERE in key]
    assert sorted([round(await redis.pttl(key) / 1_000) for key in await redis.keys()]) == [66, 660]


async def test_without_redis_each_process_allows_half_and_neither_all_nor_nothing() -> None:
    clock = Clock()
    these = allowances(open_redis(NOWHERE), clock)
    assert await allowed(these, "CODES", "aino") == 2
    assert await wait_after(these, "CODES", "aino") == 660
    clock.now += 660
    assert await allowed(these, "CODES", "aino") == 1
    assert await allowed(these, "DEVICES", None) == 30


async def test_redis_is_asked_again_once_it_may_be_back(redis: Redis) -> None:
    clock = Clock()
    these = allowances(open_redis(NOWHERE), clock)
    assert await allowed(these, "CODES", "aino") == 2
    these._take = allowances(redis)._take  # it is back
    assert await allowed(these, "CODES", "aino") == 0
    clock.now += 1
    assert await allowed(these, "CODES", "aino") == 5


async def test_a_foreign_value_in_redis_neither_opens_nor_closes(redis: Redis) -> None:
    these = allowances(redis)
    await allowed(these, "CODES", "aino", times=1)
    for key in await redis.keys():
        await redis.set(key, "not a number")
    assert await allowed(these, "CODES", "aino") == 5
    for key in await redis.keys():
        await redis.delete(key)
        await redis.lpush(key, "a list")
    assert await allowed(these, "CODES", "aino") == 5


async def test_switched_off_nothing_is_counted(redis: Redis) -> None:
    assert await allowed(allowances(redis, enabled=False), "CODES", "aino", times=50) == 50
    assert await redis.keys() == []
