import asyncio
import math
import signal
import subprocess
import time
from collections.abc import Callable
from uuid import UUID

import pytest
from redis.asyncio import Redis

from backend.errors import RateLimited
from backend.realtime import limiter as limiter_module
from backend.realtime.allowances import Allowances
from backend.realtime.limiter import RESIDENT_RATE, RateLimiter, rate_key
from backend.realtime.redis import open_redis

pytestmark = pytest.mark.anyio

ILOLA = UUID("0199a1b2-0000-7000-8000-000000000001")
AAMU = UUID("0199a1b2-0000-7000-8000-00000000000a")
BEDA = UUID("0199a1b2-0000-7000-8000-00000000000b")
NETWORK = "192.0.2.1"


class Clock:
    """Seconds of this process; the bucket in Redis goes by Redis' own clock."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def limiter_on(redis: Redis, clock: Callable[[], float] | None = None) -> RateLimiter:
    return RateLimiter(redis, enabled=True, clock=clock or Clock())


async def charge(limiter: RateLimiter, points: int, resident: UUID | None = AAMU) -> None:
    await limiter.charge(municipality_id=ILOLA, resident_id=resident, network=NETWORK, points=points)


async def wait_after(limiter: RateLimiter, points: int, resident: UUID | None = AAMU) -> int:
    with pytest.raises(RateLimited) as refusal:
        await charge(limiter, points, resident)
    return refusal.value.retry_after


def suspends(limiter: RateLimiter, points: int) -> bool:
    """Whether a charge gives up control before it is through."""
    coroutine = limiter.charge(municipality_id=ILOLA, resident_id=AAMU, network=NETWORK, points=points)
    try:
        coroutine.send(None)
    except StopIteration:
        return False
    coroutine.close()
    return True


async def round_trips(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    calls: int = stats.get("cmdstat_evalsha", {"calls": 0})["calls"]
    return calls


async def full_at(redis: Redis, subject: UUID | str = AAMU) -> int:
    """When the bucket in Redis will be full again, in microseconds of the epoch."""
    value = await redis.get(rate_key(ILOLA, subject))
    assert isinstance(value, bytes)
    return int(value)


async def load_script(redis: Redis) -> None:
    await charge(limiter_on(redis), 1, BEDA)
    await redis.config_resetstat()


@pytest.mark.parametrize(("resident", "wait"), [(AAMU, 3), (None, 10)])
async def test_after_a_burst_of_600_points_100_more_come_at_the_callers_rate(
    redis: Redis, resident: UUID | None, wait: int
) -> None:
    limiter = limiter_on(redis)
    await charge(limiter, 600, resident)
    assert await wait_after(limiter, 100, resident) == wait
    assert await wait_after(limiter_on(redis), 100, resident) == wait


async def test_a_refusal_tells_what_was_asked_for_what_is_there_and_how_fast_it_comes_back(redis: Redis) -> None:
    gone = Redis.from_url("unix:///nowhere/valkey.sock", socket_timeout=0.25, retry=None)
    for limiter, most, rate in ((limiter_on(redis), 600, 33.3), (limiter_on(gone), 300, 16.7)):
        await charge(limiter, most - 50)
        with pytest.raises(RateLimited) as refusal:
            await charge(limiter, 200)
        told = refusal.value.extensions["cost"]
        assert isinstance(told, dict)
        assert 50 <= told.pop("available") < 100  # Redis has a clock of its own
        assert told == {"requested": 200, "actual": 0, "restoreRate": rate}


async def test_one_point_short_is_a_second_at_least(redis: Redis) -> None:
    limiter = limiter_on(redis)
    await charge(limiter, 600)
    assert await wait_after(limiter, 1) == 1


async def test_a_charge_over_the_burst_takes_the_whole_burst(redis: Redis) -> None:
    limiter = limiter_on(redis)
    await charge(limiter, 100_000)
    assert await wait_after(limiter, 100_000) == 18


async def test_callers_networks_and_municipalities_have_buckets_of_their_own(redis: Redis) -> None:
    limiter = limiter_on(redis)
    await charge(limiter, 600, AAMU)
    await charge(limiter, 600, BEDA)
    await charge(limiter, 600, None)
    elsewhere = UUID("0199a1b2-0000-7000-8000-000000000002")
    await limiter.charge(municipality_id=elsewhere, resident_id=AAMU, network=NETWORK, points=600)
    await limiter.charge(municipality_id=ILOLA, resident_id=None, network="192.0.2.2", points=600)
    assert sorted(await redis.keys()) == sorted(
        f"{{{municipality}}}:rate:{subject}".encode()
        for municipality, subject in [
            (ILOLA, AAMU),
            (ILOLA, BEDA),
            (ILOLA, NETWORK),
            (elsewhere, AAMU),
            (ILOLA, "192.0.2.2"),
        ]
    )


async def test_a_bucket_is_forgotten_once_it_is_full(redis: Redis) -> None:
    await charge(limiter_on(redis), 100)
    assert 0 < await redis.pttl(rate_key(ILOLA, AAMU)) <= (100 + RESIDENT_RATE.head_start) * 30


async def test_a_busy_caller_asks_redis_10_times_for_600_requests(redis: Redis) -> None:
    await load_script(redis)
    limiter = limiter_on(redis)
    for _ in range(600):
        await charge(limiter, 1)
    assert await round_trips(redis) == math.ceil(600 / 61)  # for itself and 60 ahead


async def test_a_request_within_a_lease_does_not_suspend(redis: Redis) -> None:
    await load_script(redis)
    clock = Clock()
    limiter = limiter_on(redis, clock)
    await charge(limiter, 1)  # leases itself and 60 ahead
    assert [suspends(limiter, points) for points in (3, 4, 52)] == [False, False, False]
    assert await round_trips(redis) == 1
    clock.now += limiter_module.LEASE_SECONDS  # the point left is lost
    await charge(limiter, 1)
    assert await round_trips(redis) == 2


@pytest.mark.parametrize("resident", [AAMU, None])
async def test_a_caller_who_asks_once_a_lease_of_four_processes_gets_back_what_is_lost(
    redis: Redis, resident: UUID | None
) -> None:
    clock = Clock()
    limiters = [limiter_on(redis, clock) for _ in range(4)]
    await charge(limiters[0], 100, resident)
    before = await full_at(redis, resident or NETWORK)
    for _ in range(2):
        clock.now += limiter_module.LEASE_SECONDS
        for limiter in limiters:
            await charge(limiter, 1, resident)
    microseconds = await full_at(redis, resident or NETWORK) - before
    spent = 2 * 4 * (30_000 if resident else 100_000)
    assert spent < microseconds <= spent + 2 * limiter_module.LEASE_SECONDS * 1e6


async def test_a_steady_caller_leases_no_more_than_it_spends(redis: Redis) -> None:
    clock = Clock()
    limiter = limiter_on(redis, clock)
    await charge(limiter, 100)
    before = await full_at(redis)
    for _ in range(400):  # ten a second
        clock.now += 0.1
        await charge(limiter, 1)
    leased = (await full_at(redis) - before) / 30_000
    assert 400 - RESIDENT_RATE.head_start <= leased <= 400 + 1


async def test_callers_at_once_share_one_round_trip(redis: Redis) -> None:
    await load_script(redis)
    limiter = limiter_on(redis)
    callers = [UUID(int=n) for n in range(60)]
    await asyncio.gather(*(charge(limiter, 1 + n % 7, caller) for n, caller in enumerate(callers)))
    assert await round_trips(redis) == 1
    assert len({await full_at(redis, caller) // 30_000 for caller in callers}) >= 7


async def test_each_of_those_at_once_is_let_through_or_told_its_own_wait(redis: Redis) -> None:
    limiter = limiter_on(redis)
    await charge(limiter, 600, BEDA)
    waits = await asyncio.gather(
        *(charge(limiter, points) for points in (300, 500, 200)), charge(limiter, 100, BEDA), return_exceptions=True
    )
    assert [isinstance(wait, RateLimited) and wait.retry_after for wait in waits] == [False, 12, False, 3]


async def test_a_callers_requests_at_once_share_one_lease(redis: Redis) -> None:
    await load_script(redis)
    limiter = limiter_on(redis)
    await asyncio.gather(*(charge(limiter, 1) for _ in range(50)))
    assert await round_trips(redis) == 1


async def test_many_processes_admit_no_more_than_the_bucket_holds(redis: Redis) -> None:
    start = (await redis.time())[0]
    limiters = [limiter_on(redis) for _ in range(4)]

    async def hammer(limiter: RateLimiter) -> int:
        admitted = 0
        for _ in range(400):
            try:
                await charge(limiter, 1)
                admitted += 1
            except RateLimited:
                pass
        return admitted

    admitted = sum(await asyncio.gather(*map(hammer, limiters)))
    elapsed = (await redis.time())[0] - start + 1
    assert 600 - 4 * 60 <= admitted <= 600 + elapsed * 34


async def test_a_refused_caller_is_refused_without_asking_redis_again(redis: Redis) -> None:
    clock = Clock()
    limiter = limiter_on(redis, clock)
    await charge(limiter, 600)
    assert await wait_after(limiter, 100) == 3
    await redis.config_resetstat()
    clock.now += 1.5
    assert await wait_after(limiter, 100) == 2
    assert await wait_after(limiter, 200) == 2
    assert await round_trips(redis) == 0
    await redis.delete(rate_key(ILOLA, AAMU))
    await charge(limiter, 99)
    clock.now += 1.5
    await charge(limiter, 100)


async def test_without_redis_a_process_has_half_a_bucket(redis: Redis) -> None:
    clock = Clock()
    gone = Redis.from_url("unix:///nowhere/valkey.sock", socket_timeout=0.25, retry=None)
    limiter = limiter_on(gone, clock)
    await charge(limiter, 299)
    await charge(limiter, 1)
    assert await wait_after(limiter, 100) == 6
    assert await wait_after(limiter, 100_000) == 18
    clock.now += 6
    await charge(limiter, 100)
    assert await wait_after(limiter, 1) == 1
    await charge(limiter, 300, None)
    assert await wait_after(limiter, 100, None) == 20


async def test_a_paused_redis_is_asked_once_a_second(redis: Redis, valkey: tuple[subprocess.Popen[bytes], str]) -> None:
    clock = Clock()
    limiter = limiter_on(redis, clock)
    await charge(limiter, 1)
    clock.now += limiter_module.LEASE_SECONDS  # what was taken ahead is lost
    valkey[0].send_signal(signal.SIGSTOP)
    try:
        await charge(limiter, 10)  # waits for Redis in vain
        assert [suspends(limiter, 10) for _ in range(3)] == [False, False, False]
        clock.now += 1
        await charge(limiter, 10)
        assert not suspends(limiter, 10)
    finally:
        valkey[0].send_signal(signal.SIGCONT)
    await redis.flushall()
    clock.now += 1
    await charge(limiter, 600)
    assert await wait_after(limiter, 100) == 3


async def test_nobody_waits_longer_for_the_batches_of_others(
    redis: Redis, valkey: tuple[subprocess.Popen[bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter_module, "LARGEST_BATCH", 1)
    limiter = limiter_on(redis, time.monotonic)
    asked: list[object] = []
    take = limiter._take

    async def counting(keys: list[str], args: list[bytes]) -> object:
        asked.append(keys)
        return await take(keys, args)

    monkeypatch.setattr(limiter, "_take", counting)
    valkey[0].send_signal(signal.SIGSTOP)
    try:
        await asyncio.gather(*(charge(limiter, 1, UUID(int=n)) for n in range(12)))
    finally:
        valkey[0].send_signal(signal.SIGCONT)
    await limiter._leases._worker if limiter._leases._worker else None
    assert 1 <= len(asked) <= 3  # 12 batches would be three seconds


async def test_a_cluster_that_cannot_be_reached_is_a_redis_that_is_away() -> None:
    nobody = open_redis("redis+cluster://127.0.0.1:1")
    limiter = RateLimiter(nobody, enabled=True)
    await charge(limiter, 300)
    assert await wait_after(limiter, 100) == 6
    allowances = Allowances(nobody, secret=b"x" * 32, enabled=True)
    await allowances.take("GROUPS", municipality_id=ILOLA, subjects=[AAMU], network=NETWORK)


@pytest.mark.parametrize("value", [b"", b"nan", b"-inf", b"1e300", b"poison", b"-5"])
async def test_a_foreign_value_heals(redis: Redis, value: bytes) -> None:
    await redis.set(rate_key(ILOLA, AAMU), value)
    limiter = limiter_on(redis)
    if value == b"1e300":  # a clock set back: as after a whole burst
        assert await wait_after(limiter, 100) == 3
    else:
        await charge(limiter, 600)
        assert await wait_after(limiter, 100) == 3


async def test_a_foreign_type_heals(redis: Redis) -> None:
    await redis.rpush(rate_key(ILOLA, AAMU), b"x")
    limiter = limiter_on(redis)
    await charge(limiter, 600)
    assert await wait_after(limiter, 100) == 3


async def test_callers_beyond_the_limit_are_forgotten_oldest_first(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter_module, "CALLERS_KEPT", 2)
    limited = limiter_on(redis)
    for resident in (AAMU, BEDA, AAMU, None):
        await charge(limited, 1, resident)
    assert list(limited._callers) == [(ILOLA, AAMU), (ILOLA, NETWORK)]


async def test_switched_off_lets_everything_through_without_redis(redis: Redis) -> None:
    off = RateLimiter(redis, enabled=False)
    assert not any(suspends(off, 100_000) for _ in range(10))
    assert await redis.keys() == []
