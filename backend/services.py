"""What lives as long as the process, made once and handed to every context."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from backend.auth.identity import identity_key
from backend.auth.keys import SigningKeys, load_signing_keys
from backend.auth.login_providers import LoginProviders
from backend.auth.oidc import OpenIdClient, clients_of
from backend.catalogues import Catalogues
from backend.cursors import Cursors
from backend.db.pool import Pool, open_pool
from backend.realtime.allowances import Allowances
from backend.realtime.answers import SharedAnswers
from backend.realtime.background import running
from backend.realtime.boards import Boards
from backend.realtime.changes import Changes
from backend.realtime.connections import Connections
from backend.realtime.hub import Hub
from backend.realtime.kept import KeptReads
from backend.realtime.leaderboards import Leaderboards
from backend.realtime.limiter import RateLimiter
from backend.realtime.projector import Projector
from backend.realtime.redis import Client, open_redis
from backend.realtime.revocations import Revocations
from backend.realtime.votes import VoteBatches
from backend.settings import Settings, Switch

BACKGROUND_POOL = 5  # rounds, upkeep, the feeds of changes and of revocations, health


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    pool: Pool
    background: Pool
    redis: Client
    keys: SigningKeys
    cursors: Cursors
    catalogues: Catalogues
    leaderboards: Leaderboards
    changes: Changes
    answers: SharedAnswers
    kept: KeptReads
    projector: Projector
    votes: VoteBatches
    hub: Hub
    revocations: Revocations
    limiter: RateLimiter
    allowances: Allowances
    connections: Connections
    identity_key: bytes = field(repr=False)
    login_clients: Mapping[str, Mapping[str, OpenIdClient]]


@contextlib.asynccontextmanager
async def open_services(settings: Settings, *, build: str, login_providers: LoginProviders) -> AsyncIterator[Services]:
    """`build` tells this program from others that use the same Redis.

    Connects to PostgreSQL and, when first used, to Redis; keeps boards and subscribers up to date meanwhile."""
    assert settings.signing_key_file  # noqa: S101 # required by whoever serves
    pool = await open_pool(settings.database_url, size=settings.database_pool)
    # Apart, so that boards stay fresh and health is told while requests hold every connection.
    background = await open_pool(settings.database_url, size=BACKGROUND_POOL)
    redis, listener = open_redis(settings.redis_url), open_redis(settings.redis_url, listens=True)
    catalogues, boards, hub = Catalogues(pool), Boards(redis), Hub(listener)
    changes = Changes(background)
    secret = settings.secret_key.get_secret_value().encode()
    projector = Projector(background, boards, Catalogues(background))
    services = Services(
        settings=settings,
        pool=pool,
        background=background,
        redis=redis,
        keys=load_signing_keys(settings.signing_key_file),
        cursors=Cursors(secret),
        catalogues=catalogues,
        leaderboards=Leaderboards(pool, boards, changes),
        changes=changes,
        kept=KeptReads(changes),
        answers=SharedAnswers(redis, changes, secret=secret, build=build),
        projector=projector,
        votes=VoteBatches(pool),
        hub=hub,
        revocations=Revocations(background, redis, hub.revocations),
        limiter=RateLimiter(redis, enabled=settings.rate_limits is Switch.ON),
        allowances=Allowances(redis, secret=secret, enabled=settings.rate_limits is Switch.ON),
        connections=Connections(redis),
        identity_key=identity_key(settings),
        login_clients=clients_of(login_providers),
    )
    try:
        loops = projector.run(), projector.upkeep(), hub.run(), changes.run(), services.revocations.run()
        async with running(*loops):
            yield services
    finally:
        for each in (pool, background):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await each.close()
            each.terminate()
        for of_one in services.login_clients.values():
            for client in of_one.values():
                await client.http.aclose()
        await redis.aclose()
        await listener.aclose()
