"""Tells an idea's followers what happened to it: in-app notifications, and a wake-up for those who listen now.

A person has at most one notification of each kind by event, which the database sees to; so the job may run again from
the start. Wake-ups are sent again too: whoever is woken reads for themselves.
"""

from typing import Final
from uuid import UUID

import orjson
import structlog

from backend.db import notifications
from backend.db.pool import Connection, Pool, acquire
from backend.jobs.queue import Job, Payload, enqueue
from backend.realtime.hub import notifications_channel
from backend.realtime.redis import REDIS_FAILURES, Client
from backend.viewer import NOBODY

NAME: Final = "notify_followers"
BATCH: Final = 500

log = structlog.get_logger()


async def announce(
    conn: Connection,
    *,
    municipality_id: UUID,
    idea_id: UUID,
    event_id: UUID,
    response_id: UUID | None,
    status_changed: bool,
    actor_id: UUID | None,
) -> None:
    """Lets the idea's followers, but not `actor_id`, be told once the transaction of `conn` is committed. `event_id`
    is the response's id, or an id of its own for what has none."""
    payload = {
        "municipality_id": municipality_id,
        "idea_id": idea_id,
        "event_id": event_id,
        "response_id": response_id,
        "status_changed": status_changed,
        "actor_id": actor_id,
    }
    await enqueue(conn, NAME, payload)


def notify_followers(pool: Pool, redis: Client) -> Job:
    """The job, for a worker with these means. A failure of Redis is not one of the job's."""

    async def run(payload: Payload) -> None:
        ids = {
            name: payload[name] and UUID(payload[name])
            for name in ("municipality_id", "idea_id", "event_id", "response_id", "actor_id")
        }
        told, beyond = [NOBODY] * BATCH, NOBODY
        while len(told) == BATCH:
            async with acquire(pool) as conn:
                told = await notifications.notify_followers(
                    conn, **ids, status_changed=payload["status_changed"], beyond=beyond, limit=BATCH
                )
            if told:
                beyond = told[-1]
                await _wake(redis, ids["municipality_id"], told)

    return run


async def _wake(redis: Client, municipality_id: UUID, residents: list[UUID]) -> None:
    try:
        await redis.publish(notifications_channel(municipality_id), orjson.dumps(residents, default=str))
    except REDIS_FAILURES as error:
        log.warning("wake_up_lost", residents=len(residents), error=str(error))
