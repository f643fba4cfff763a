"""Who does what only one process need do. Advisory: two at once do no harm, only the same work twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from backend.realtime.redis import REDIS_FAILURES, Client

CLAIM_MS = 3000  # how soon another may follow one that was killed


@contextlib.asynccontextmanager
async def claimed(redis: Client, key: str) -> AsyncIterator[bool]:
    """Whether the caller is the one. It is while it stays in the `with`, however long that takes. Raises one of
    REDIS_FAILURES."""
    if not await redis.set(key, "1", nx=True, px=CLAIM_MS):
        if await redis.pttl(key) == -1:
            await redis.unlink(key)  # not a claim of ours, which all end by themselves
        yield False
        return
    renewal = asyncio.create_task(_renew(redis, key))
    try:
        yield True
    finally:
        renewal.cancel()
        with contextlib.suppress(*REDIS_FAILURES):
            await redis.unlink(key)


async def _renew(redis: Client, key: str) -> None:
    while True:
        await asyncio.sleep(CLAIM_MS / 3000)
        with contextlib.suppress(*REDIS_FAILURES):
            await redis.set(key, "1", px=CLAIM_MS)
