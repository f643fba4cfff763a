"""What may be done only so often, whatever it costs: one table of kinds, counted exactly, by account and by network.

Apart from the points of `limiter.py`: these acts are rare, so each asks Redis. An act is counted when it is let
through, whether or not it succeeds, since guesses fail. Without Redis each process counts by itself, with half of
everything: never open, never closed.
"""

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, TypeAlias
from uuid import UUID

import structlog

from backend.errors import RateLimited
from backend.metrics import REFUSED_ACTS
from backend.realtime.limiter import REDIS_SECONDS, RETRY_SECONDS
from backend.realtime.redis import REDIS_FAILURES, Client

BUCKETS_KEPT: Final = 10_000  # a process, while Redis is away; the least recent goes first
HOUR: Final = 3_600.0
DAY: Final = 86_400.0

Kind: TypeAlias = Literal["CODES", "CODE_TRIES", "LOGINS", "DEVICES", "IDEAS", "GROUPS", "INVITATIONS"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """So many at once, then one more every `seconds`."""

    at_once: int
    seconds: float

    def times(self, factor: int) -> "Pace":
        return Pace(self.at_once * factor, self.seconds / factor)

    @property
    def halved(self) -> "Pace":
        return Pace(max(1, self.at_once // 2), self.seconds * 2)


@dataclass(frozen=True, slots=True)
class Allowance:
    """Every pace must allow an act: those of its subject (an account, an address) and those of the network."""

    subject: tuple[Pace, ...]
    network: tuple[Pace, ...]
    why: str


def _by_account(*paces: Pace, why: str) -> Allowance:
    """A network ten times as much: a school or a library is many people behind one address."""
    return Allowance(paces, tuple(pace.times(10) for pace in paces), why)


ALLOWANCES: Final[Mapping[Kind, Allowance]] = {
    "CODES": _by_account(Pace(5, 330), why="mails to one address; Synapse's 0.003 a second after 5"),
    "CODE_TRIES": _by_account(Pace(5, 330), why="guesses at six digits, with the tries of each code; Synapse"),
    "LOGINS": _by_account(Pace(5, 330), why="guesses at passkeys and provider logins; Synapse"),
    "DEVICES": Allowance(
        (), (Pace(60, HOUR / 120),), why="a class registers in one lesson, a farm of accounts doesn't"
    ),
    "IDEAS": _by_account(
        Pace(5, HOUR / 5), Pace(20, DAY / 20), why="what people can read; GitHub's ceiling is far above"
    ),
    "GROUPS": Allowance((), (Pace(30, DAY / 30),), why="ten accounts' 3 a day, which PostgreSQL counts"),
    "INVITATIONS": _by_account(Pace(20, HOUR / 20), why="mails to strangers in the municipality's name"),
}

# GCRA as in `limiter.py`, of several buckets, all or none: one act takes one from each.
# In: microseconds of one act and how many at once, for each key. Out: 0, or the longest wait in microseconds.
_TAKE_ONE_FROM_EACH: Final = """
local clock = redis.call('TIME')
local now, longest, full_at = clock[1] * 1000000 + clock[2], 0, {}
for n, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[2 * n - 1]), tonumber(ARGV[2 * n])
  local before = tonumber(redis.pcall('GET', key)) or now
  full_at[n] = math.max(now, math.min(before, now + burst * interval)) + interval
  longest = math.max(longest, full_at[n] - now - burst * interval)
end
if longest > 0 then
  return math.ceil(longest)
end
for n, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', full_at[n]), 'PX', math.ceil((full_at[n] - now) / 1000))
end
return 0
"""


def allowance_key(municipality_id: UUID, kind: Kind, whose: str, number: int) -> str:
    return f"{{{municipality_id}}}:allowed:{kind}:{whose}:{number}"


class Allowances:
    """One a process. `secret`: keys in Redis name neither addresses nor networks. `enabled=False`: for load tests."""

    def __init__(
        self, redis: Client, *, secret: bytes, enabled: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._take = redis.register_script(_TAKE_ONE_FROM_EACH)
        self._secret = secret
        self._enabled = enabled
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()  # of local buckets
        self._redis_back_at = -math.inf

    async def take(self, kind: Kind, *, municipality_id: UUID, subjects: Sequence[object], network: str) -> None:
        """Lets one act through, and counts it once for each. `subjects` are an account's id, a keyed hash of an
        address, None where nobody is known. Raises RateLimited; what is refused isn't counted."""
        if not self._enabled:
            return
        allowance = ALLOWANCES[kind]
        buckets = {
            allowance_key(municipality_id, kind, self._name(whose), number): pace
            for whose, paces in (*((each, allowance.subject) for each in subjects), (network, allowance.network))
            if whose is not None
            for number, pace in enumerate(paces)
        }
        wait = await self._wait(buckets)
        if wait > 0:
            REFUSED_ACTS.labels(kind).inc()
            raise RateLimited(math.ceil(wait))

    def _name(self, whose: object) -> str:
        return hashlib.blake2b(str(whose).encode(), key=self._secret[:64], digest_size=16).hexdigest()

    async def _wait(self, buckets: Mapping[str, Pace]) -> float:
        if self._clock() < self._redis_back_at:
            return self._wait_locally(buckets)
        numbers = chain.from_iterable((round(pace.seconds * 1e6), pace.at_once) for pace in buckets.values())
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                wait: int = await self._take(list(buckets), list(numbers))
        except REDIS_FAILURES as error:
            _log.warning("acts are counted by each process alone", reason=repr(error))
            self._redis_back_at = self._clock() + RETRY_SECONDS
            return self._wait_locally(buckets)
        return wait / 1e6

    def _wait_locally(self, buckets: Mapping[str, Pace]) -> float:
        now = self._clock()
        full_at = {key: max(self._full_at.get(key, now), now) + pace.halved.seconds for key, pace in buckets.items()}
        longest = max(full_at[key] - now - pace.halved.at_once * pace.halved.seconds for key, pace in buckets.items())
        if longest <= 0:
            for key, moment in full_at.items():
                self._full_at[key] = moment
                self._full_at.move_to_end(key)
            while len(self._full_at) > BUCKETS_KEPT:
                self._full_at.popitem(last=False)
        return longest
