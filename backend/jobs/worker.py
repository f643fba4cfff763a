"""The background worker: every job and chore there is, and how they outlive PostgreSQL and Redis."""

import asyncio
import contextlib
import signal
import time
from typing import Final

import structlog

from backend.catalogues import Catalogues
from backend.db.pool import open_pool
from backend.jobs import (
    audit_heads,
    erase,
    export_data,
    join_again,
    notify_followers,
    prune,
    queue,
    send_mail,
    trending,
)
from backend.realtime.background import running
from backend.realtime.boards import Boards
from backend.realtime.projector import Projector
from backend.realtime.redis import Client, open_redis
from backend.settings import Settings

SHORTEST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 2.0

log = structlog.get_logger()


async def run_worker(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT, then finishes what is under way.

    Starts anew, at most LONGEST_WAIT_SECONDS later, whenever PostgreSQL is lost. Without Redis, jobs are done all the
    same.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    redis = open_redis(settings.redis_url)
    wait = SHORTEST_WAIT_SECONDS
    try:
        while not stopping.is_set():
            began = time.monotonic()
            try:
                await _work(settings, redis, stopping)
            except Exception as error:  # whatever it is, jobs must go on
                lasted = time.monotonic() - began
                wait = SHORTEST_WAIT_SECONDS if lasted > LONGEST_WAIT_SECONDS else min(2 * wait, LONGEST_WAIT_SECONDS)
                log.warning("worker_starts_anew", again_in=wait, exc_info=error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await stopping.wait()
    finally:
        await redis.aclose()


async def _work(settings: Settings, redis: Client, stopping: asyncio.Event) -> None:
    pool = await open_pool(settings.database_url, size=settings.database_pool)
    try:
        # Boards are carried from here too: what a web process left undone when it died doesn't wait for another.
        projector = Projector(pool, Boards(redis), Catalogues(pool))
        async with running(projector.run(), projector.upkeep()):
            await queue.work(
                settings.database_url,
                jobs={
                    notify_followers.NAME: notify_followers.notify_followers(pool, redis),
                    join_again.NAME: join_again.join_again(pool),
                    send_mail.NAME: send_mail.sending(settings),
                    erase.NAME: erase.erase(pool, settings),
                    export_data.NAME: export_data.export_data(pool, settings),
                },
                hourly={
                    "prune": prune.prune(pool, settings),
                    "prune_notifications": prune.prune_old_notifications(pool, settings),
                    "prune_mails": send_mail.pruning(settings),
                    "erase_idle_devices": prune.erase_idle_devices(pool, settings),
                    "audit_heads": audit_heads.log_heads(pool),
                },
                every_minute={"trending": trending.prepare(pool)},
                stopping=stopping,
            )
    finally:
        pool.terminate()
