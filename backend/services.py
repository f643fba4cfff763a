"""What lives as long as the process, made once and handed to every context."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

from backend.auth.keys import SigningKeys, load_signing_keys
from backend.catalogues import Catalogues
from backend.cursors import Cursors
from backend.db.pool import Pool, open_pool
from backend.realtime.boards import Boards
from backend.realtime.hub import Hub
from backend.realtime.leaderboards import Leaderboards
from backend.realtime.limiter import RateLimiter
from backend.realtime.projector import Projector
from backend.realtime.redis import Client, open_redis
from backend.realtime.votes import VoteBatches
from backend.settings import Settings, Switch


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    pool: Pool
    redis: Client
    keys: SigningKeys
    cursors: Cursors
    catalogues: Catalogues
    leaderboards: Leaderboards
    projector: Projector
    votes: VoteBatches
    hub: Hub
    limiter: RateLimiter


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Connects to PostgreSQL and, when first used, to Redis; keeps boards and subscribers up to date meanwhile."""
    assert settings.signing_key_file  # noqa: S101 # required by whoever serves
    pool = await open_pool(settings.database_url, size=settings.database_pool)
    redis, listener = open_redis(settings.redis_url), open_redis(settings.redis_url, listens=True)
    catalogues, boards, hub = Catalogues(pool), Boards(redis), Hub(listener)
    projector = Projector(pool, boards, catalogues)
    services = Services(
        settings=settings,
        pool=pool,
        redis=redis,
        keys=load_signing_keys(settings.signing_key_file),
        cursors=Cursors(settings.secret_key.get_secret_value().encode()),
        catalogues=catalogues,
        leaderboards=Leaderboards(pool, boards),
        projector=projector,
        votes=VoteBatches(pool),
        hub=hub,
        limiter=RateLimiter(redis, enabled=settings.rate_limits is Switch.ON),
    )
    try:
        async with _running(projector.run(), hub.run()):
            yield services
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await pool.close()
        pool.terminate()
        await redis.aclose()
        await listener.aclose()


@contextlib.asynccontextmanager
async def _running(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:  # Any: whatever they send and await
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
