"""Rate limits in points: one bucket a caller in Redis, from which each process takes some ahead, to spend on its own.

Most requests so make no round trip. What was taken ahead and not spent within LEASE_SECONDS is lost to the caller, so
it follows the caller's pace: nothing at first, then twice as much whenever the last lasted less than half a lease.
Without Redis each process has buckets of half the size: never open, never closed.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from backend.errors import RateLimited
from backend.realtime.redis import Client

LEASE_SECONDS = 5.0
REDIS_SECONDS = 0.25  # longest a request waits for Redis
RETRY_SECONDS = 1.0  # after a failure Redis is left alone so long
CALLERS_KEPT = 10_000  # a process; under 1 kB each, the least recent goes first

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` points at once, refilled by `per_minute`."""

    per_minute: int
    burst: int

    @property
    def interval(self) -> float:
        """Seconds until one point is back."""
        return 60 / self.per_minute

    @property
    def most_ahead(self) -> int:
        """Points one process may hold without having spent them."""
        return self.burst // 10


# 2,000 a minute is GitHub's secondary limit. A network may be a school or a library, many people behind one address.
# Either burst must hold the dearest single operation: an export of 20,000 rows is 201 points.
RESIDENT_RATE = Rate(per_minute=2_000, burst=600)
NETWORK_RATE = Rate(per_minute=600, burst=600)

# GCRA (ITU-T I.371): the key holds the microsecond at which the bucket will be full again. It is clamped to what a
# bucket can owe, and read as full when it is no number, so that a clock set back or a foreign value heals by itself.
# In: microseconds a point, burst, least and most points wanted. Out: points taken, else 0 and the wait in microseconds.
_TAKE = """
local interval, burst, least, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full_at = tonumber(redis.pcall('GET', KEYS[1])) or now
full_at = math.max(now, math.min(full_at, now + burst * interval))
local free = math.floor(burst - (full_at - now) / interval)
if free < least then
  return {0, math.ceil(full_at - now - (burst - least) * interval)}
end
local taken = math.min(free, most)
full_at = full_at + taken * interval
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return {taken, 0}
"""


@dataclass(slots=True)
class _Caller:
    """What this process knows of one bucket. Times are of the limiter's clock, in seconds."""

    points: int = 0
    ahead: int = 0
    leased_at: float = -math.inf
    refused_points: int = 0
    refused_until: float = -math.inf
    full_at: float = -math.inf  # of the local bucket, used while Redis is away
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def rate_key(municipality_id: UUID, subject: UUID | str) -> str:
    return f"{{{municipality_id}}}:rate:{subject}"


class RateLimiter:
    """One a process. `enabled=False` lets everything through: for load tests."""

    def __init__(self, redis: Client, *, enabled: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._take = redis.register_script(_TAKE)
        self._enabled = enabled
        self._clock = clock
        self._callers: OrderedDict[tuple[UUID, UUID | str], _Caller] = OrderedDict()
        self._redis_back_at = -math.inf

    async def charge(self, *, municipality_id: UUID, resident_id: UUID | None, network: str, points: int) -> None:
        """Takes points from the resident, or from the network of an anonymous caller; all of the burst at most.

        Doesn't suspend while a lease lasts. Raises RateLimited.
        """
        if not self._enabled:
            return
        rate = RESIDENT_RATE if resident_id else NETWORK_RATE
        subject = (municipality_id, resident_id or network)
        points = min(points, rate.burst)  # more would be refused for ever
        caller = self._caller(subject)
        if self._spend(caller, points):
            return
        async with caller.lock:  # one lease for all that came meanwhile
            if not self._spend(caller, points):
                await self._lease(caller, rate, rate_key(*subject), points)

    def _caller(self, subject: tuple[UUID, UUID | str]) -> _Caller:
        caller = self._callers.get(subject)
        if caller is None:
            caller = self._callers[subject] = _Caller()
            if len(self._callers) > CALLERS_KEPT:
                self._callers.popitem(last=False)
        else:
            self._callers.move_to_end(subject)
        return caller

    def _spend(self, caller: _Caller, points: int) -> bool:
        now = self._clock()
        if now >= caller.leased_at + LEASE_SECONDS:
            caller.points = 0
        if caller.points >= points:
            caller.points -= points
            return True
        if points >= caller.refused_points and now < caller.refused_until:
            raise _refusal(caller.refused_until - now)
        return False

    async def _lease(self, caller: _Caller, rate: Rate, key: str, points: int) -> None:
        now = self._clock()
        if now < self._redis_back_at:
            return self._take_locally(caller, rate, points)
        if self._redis_back_at > -math.inf:
            self._redis_back_at = now + RETRY_SECONDS  # this request finds out whether Redis is back, the others don't
        least = points - caller.points
        most = least + min(_points_ahead(caller, now), rate.most_ahead)
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                taken, wait = await self._take([key], [round(rate.interval * 1e6), rate.burst, least, most])
        except (RedisError, OSError) as error:
            if self._redis_back_at == -math.inf:
                _log.warning("rate limits are kept by each process alone", reason=repr(error))
            self._redis_back_at = self._clock() + RETRY_SECONDS
            return self._take_locally(caller, rate, points)
        self._redis_back_at = -math.inf
        if not taken:
            caller.refused_points, caller.refused_until = points, now + wait / 1e6
            raise _refusal(wait / 1e6)
        caller.points += taken - points
        caller.ahead, caller.leased_at = taken - least, now
        return None

    def _take_locally(self, caller: _Caller, rate: Rate, points: int) -> None:
        now = self._clock()
        burst, interval = rate.burst // 2, rate.interval * 2
        full_at = max(caller.full_at, now) + min(points, burst) * interval
        wait = full_at - now - burst * interval
        if wait > 0:
            raise _refusal(wait)
        caller.full_at = full_at


def _points_ahead(caller: _Caller, now: float) -> int:
    """Doubling only what lasted less than half a lease means that, at the same pace, the next is spent in time."""
    age = now - caller.leased_at
    if age < LEASE_SECONDS / 2:
        return max(1, 2 * caller.ahead)
    return caller.ahead if age < LEASE_SECONDS else 0


def _refusal(seconds: float) -> RateLimited:
    return RateLimited(max(1, math.ceil(seconds)))
