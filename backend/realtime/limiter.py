"""Rate limits in points: one bucket a caller in Redis, from which each process takes some ahead, to spend on its own.

Most requests so make no round trip, and callers who need one at the same moment share it. What was taken ahead and not
spent within LEASE_SECONDS is lost to the caller, so it follows the caller's pace: a head start that comes back anyway,
then twice as much whenever the last lasted less than half a lease.
Without Redis each process has buckets of half the size: never open, never closed.
"""

import asyncio
import math
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import orjson
import structlog

from backend.batches import Batches
from backend.errors import RateLimited
from backend.realtime.redis import REDIS_FAILURES, Client

LEASE_SECONDS = 20.0
REDIS_SECONDS = 0.25  # longest a request waits for Redis
RETRY_SECONDS = 1.0  # after a failure Redis is left alone so long
LARGEST_BATCH = 100  # callers that take points at once: a fifth of a millisecond of Redis
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
    def head_start(self) -> int:
        """Points taken ahead for a caller of unknown pace: what comes back within a lease, shared by four processes.
        Who asks once a lease, of all of them, so pays for no more than what they ask."""
        return min(int(LEASE_SECONDS / self.interval / 4), self.most_ahead)

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
# In: of each key microseconds a point, burst, least and most points wanted. Out: of each the points taken, 0 where
# there are less than the least, and the microseconds until it is full again.
_TAKE = """
local clock = redis.call('TIME')
local now, wanted, taken_and_full_in = clock[1] * 1000000 + clock[2], cjson.decode(ARGV[1]), {}
for n, key in ipairs(KEYS) do
  local interval, burst, least, most = unpack(wanted[n])
  local full_at = tonumber(redis.pcall('GET', key)) or now
  full_at = math.max(now, math.min(full_at, now + burst * interval))
  local taken = math.min(math.floor(burst - (full_at - now) / interval), most)
  if taken < least then
    taken = 0
  else
    full_at = full_at + taken * interval
    redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
  end
  table.insert(taken_and_full_in, taken)
  table.insert(taken_and_full_in, math.ceil(full_at - now))
end
return taken_and_full_in
"""


@dataclass(slots=True, eq=False)
class _Caller:
    """What this process knows of one bucket. Times are of the limiter's clock, in seconds."""

    municipality_id: UUID
    key: str
    rate: Rate
    points: int = 0
    ahead: int = 0
    leased_at: float = -math.inf
    refused_points: int = 0
    refused_until: float = -math.inf
    full_at: float = -math.inf  # of the local bucket, used while Redis is away


class _Charge(NamedTuple):
    caller: _Caller
    points: int
    asked_at: float


def rate_key(municipality_id: UUID, subject: UUID | str) -> str:
    return f"{{{municipality_id}}}:rate:{subject}"


class RateLimiter:
    """One a process. `enabled=False` lets everything through: for load tests."""

    def __init__(self, redis: Client, *, enabled: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._take = redis.register_script(_TAKE)
        self._enabled = enabled
        self._clock = clock
        self._callers: OrderedDict[tuple[UUID, UUID | str], _Caller] = OrderedDict()
        self._leases = Batches(self._lease, largest=LARGEST_BATCH)
        self._redis_back_at = -math.inf

    async def charge(self, *, municipality_id: UUID, resident_id: UUID | None, network: str, points: int) -> None:
        """Takes points from the resident, or from the network of an anonymous caller; all of the burst at most.

        Doesn't suspend while a lease lasts. Raises RateLimited.
        """
        if not self._enabled:
            return
        subject = (municipality_id, resident_id or network)
        caller = self._callers.get(subject)
        if caller is None:
            caller = self._add(subject, RESIDENT_RATE if resident_id else NETWORK_RATE)
        else:
            self._callers.move_to_end(subject)
        points = min(points, caller.rate.burst)  # more would be refused for ever
        if not self._spend(caller, points) and not await self._spend_leased(caller, points):
            self._take_locally(caller, points)

    def _add(self, subject: tuple[UUID, UUID | str], rate: Rate) -> _Caller:
        caller = self._callers[subject] = _Caller(subject[0], rate_key(*subject), rate)
        if len(self._callers) > CALLERS_KEPT:
            self._callers.popitem(last=False)
        return caller

    def _spend(self, caller: _Caller, points: int) -> bool:
        now = self._clock()
        if now >= caller.leased_at + LEASE_SECONDS:
            caller.points = 0
        if caller.points >= points:
            caller.points -= points
            return True
        if points >= caller.refused_points and now < caller.refused_until:
            raise _refusal(caller.refused_until - now, points, caller.refused_points, caller.rate.interval)
        return False

    async def _spend_leased(self, caller: _Caller, points: int) -> bool:
        """False where Redis is away, or what is waited for takes too long, batches of others included."""
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                while not self._redis_away():
                    await self._leases.outcome(_Charge(caller, points, self._clock()))
                    if self._spend(caller, points):
                        return True
        except TimeoutError as error:
            self._leave_redis(error)
        return False

    def _redis_away(self) -> bool:
        now = self._clock()
        if now < self._redis_back_at:
            return True
        if self._redis_back_at > -math.inf:
            self._redis_back_at = now + RETRY_SECONDS  # who asks now finds out for all
        return False

    def _leave_redis(self, error: Exception) -> None:
        if self._redis_back_at == -math.inf:
            _log.warning("rate limits are kept by each process alone", reason=repr(error))
        self._redis_back_at = self._clock() + RETRY_SECONDS

    async def _lease(self, charges: Sequence[_Charge]) -> Sequence[None]:
        """One round trip for all callers of a municipality: their keys share a slot where Redis is a cluster."""
        wanted: defaultdict[UUID, defaultdict[_Caller, list[int]]] = defaultdict(lambda: defaultdict(list))
        now = self._clock()
        for caller, points, asked_at in charges:
            if now - asked_at < REDIS_SECONDS:  # nobody waits for the others any more
                wanted[caller.municipality_id][caller].append(points)
        await asyncio.gather(*(self._lease_to(callers) for callers in wanted.values()))
        return [None] * len(charges)

    async def _lease_to(self, callers: Mapping[_Caller, Sequence[int]]) -> None:
        now, wishes = self._clock(), dict[_Caller, tuple[int, int, int, int]]()
        for caller, points in callers.items():
            missing, rate = sum(points) - caller.points, caller.rate
            if missing > 0:  # the batch before may have brought enough
                least, most = max(1, min(points) - caller.points), missing + _points_ahead(caller, now)
                wishes[caller] = round(rate.interval * 1e6), rate.burst, least, most
        if not wishes:
            return
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                answer = await self._take([caller.key for caller in wishes], [orjson.dumps([*wishes.values()])])
        except REDIS_FAILURES as error:
            self._leave_redis(error)
            return
        self._redis_back_at = -math.inf
        for (caller, (_, burst, least, _)), taken, full_in in zip(
            wishes.items(), answer[::2], answer[1::2], strict=True
        ):
            if taken:
                caller.ahead, caller.leased_at = max(0, caller.points + taken - sum(callers[caller])), now
                caller.points += taken
            else:
                wait = full_in / 1e6 - (burst - least) * caller.rate.interval
                caller.refused_points, caller.refused_until = caller.points + least, now + wait

    def _take_locally(self, caller: _Caller, points: int) -> None:
        now = self._clock()
        burst, interval = caller.rate.burst // 2, caller.rate.interval * 2
        full_at = max(caller.full_at, now) + min(points, burst) * interval
        wait = full_at - now - burst * interval
        if wait > 0:
            raise _refusal(wait, points, min(points, burst), interval)
        caller.full_at = full_at


def _points_ahead(caller: _Caller, now: float) -> int:
    """Doubling only what lasted less than half a lease means that, at the same pace, the next is spent in time."""
    age = now - caller.leased_at
    ahead = 2 * caller.ahead if age < LEASE_SECONDS / 2 else caller.ahead if age < LEASE_SECONDS else 0
    return min(max(caller.rate.head_start, ahead), caller.rate.most_ahead)


def _refusal(seconds: float, requested: int, then: int, interval: float) -> RateLimited:
    """In so many seconds `then` points are there, one coming back each `interval`."""
    available = max(0, math.floor(then - seconds / interval))
    cost = {"requested": requested, "actual": 0, "available": available, "restoreRate": round(1 / interval, 1)}
    return RateLimited(max(1, math.ceil(seconds)), cost=cost)
