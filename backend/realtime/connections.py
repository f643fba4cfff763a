"""How many connections stay open for one account, or for one network without one.

Each process counts its own. Those of accounts are counted in Redis besides, so that several processes hold no more than
one would: each is an entry that is renewed while the connection is open, and ends by itself after LEASE_MS where its
process died. Without Redis a process goes by its own count: never open, never closed.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from uuid import UUID, uuid4

from backend.errors import RateLimited
from backend.realtime.limiter import REDIS_SECONDS
from backend.realtime.redis import REDIS_FAILURES, Client

RETRY_SECONDS: Final = 10
LEASE_MS: Final = 30_000

Connection: TypeAlias = Literal["socket", "stream"]


@dataclass(frozen=True, slots=True)
class Most:
    account: int
    network: int


# A socket carries ten subscriptions, a stream one. A school or a library is one network.
MOST: Final[Mapping[Connection, Most]] = {"socket": Most(5, 200), "stream": Most(10, 200)}

# In: the entry, how many there may be, milliseconds until it ends. Out: 1, or 0 where there are enough others. An entry
# that is there already is renewed.
_ENTER: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""


def open_key(municipality_id: UUID, kind: Connection, account: UUID) -> str:
    return f"{{{municipality_id}}}:open:{kind}:{account}"


class Connections:
    """One a process."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._enter = redis.register_script(_ENTER)
        self._open: Counter[Hashable] = Counter()

    @asynccontextmanager
    async def hold(
        self, kind: Connection, *, municipality_id: UUID, account: UUID | None, network: str
    ) -> AsyncIterator[None]:
        """Counts one for as long as it is open. Raises RateLimited where there are enough."""
        key, most = (kind, municipality_id, account or network), MOST[kind]
        if self._open[key] >= (most.account if account else most.network):
            raise RateLimited(RETRY_SECONDS)
        self._open[key] += 1
        elsewhere: AbstractAsyncContextManager[None] = nullcontext()
        if account:
            elsewhere = self._everywhere(open_key(municipality_id, kind, account), most.account)
        try:
            async with elsewhere:
                yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    @asynccontextmanager
    async def _everywhere(self, key: str, most: int) -> AsyncIterator[None]:
        entry = uuid4().hex
        if not await self._entered(key, entry, most):
            raise RateLimited(RETRY_SECONDS)
        renewal = asyncio.create_task(self._renew(key, entry, most))
        try:
            yield
        finally:
            renewal.cancel()
            with suppress(*REDIS_FAILURES):
                async with asyncio.timeout(REDIS_SECONDS):
                    await self._redis.zrem(key, entry)

    async def _entered(self, key: str, entry: str, most: int) -> bool:
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                return bool(await self._enter([key], [entry, most, LEASE_MS]))
        except REDIS_FAILURES:
            return True

    async def _renew(self, key: str, entry: str, most: int) -> None:
        """Where Redis forgot it meanwhile, it is entered anew if there is room; what is open stays open."""
        while True:
            await asyncio.sleep(LEASE_MS / 3_000)
            await self._entered(key, entry, most)
