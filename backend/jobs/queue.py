"""The job queue: jobs enqueued in the transaction that causes them, run at least once each until they succeed.

All that is known of pgqueuer is here and in `sql/queries/jobs.sql`, so that another queue could take its place. A job
taken by a worker that died is taken again by another one after HEARTBEAT_SECONDS; so jobs must bear to be run twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from traceback import format_exception
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import asyncpg
import orjson
import structlog
from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job as Row
from pgqueuer.models import Schedule

from backend.db.pool import LONG_SECONDS, Connection
from backend.db.statements import statements

SQL = statements("jobs")

Payload: TypeAlias = dict[str, Any]  # Any: whatever JSON holds
Job: TypeAlias = Callable[[Payload], Awaitable[None]]
Chore: TypeAlias = Callable[[], Awaitable[None]]

HEARTBEAT_SECONDS: Final = 3.0  # a running job beats twice as often
POLL_SECONDS: Final = 1.0  # for jobs of the dead and retries; new jobs come by NOTIFY at once
LONGEST_WAIT_SECONDS: Final = 60.0  # between the runs of a job that keeps failing
COMMAND_SECONDS: Final = 10.0
AT_ONCE: Final = timedelta()
HOURLY: Final = "23 * * * *"
EVERY_MINUTE: Final = "* * * * *"

log = structlog.get_logger()


async def enqueue(conn: Connection, name: str, payload: Payload, *, after: timedelta = AT_ONCE) -> None:
    """Lets a worker run job `name` once the transaction of `conn` is committed, and not otherwise; `after` that long
    at the earliest."""
    # By our own statement: pgqueuer's writes jsonb as text, but the connections of our pool take Python objects for it.
    await conn.execute(SQL["enqueue"], name, orjson.dumps(payload, default=str), after)


async def prune_log(conn: Connection, *, days: int) -> None:
    """Forgets what became of jobs so long ago."""
    await conn.execute(SQL["prune_log"], days, timeout=LONG_SECONDS)


async def work(
    database_url: str,
    *,
    jobs: Mapping[str, Job],
    hourly: Mapping[str, Chore],
    every_minute: Mapping[str, Chore] = MappingProxyType({}),
    stopping: asyncio.Event,
) -> None:
    """Runs jobs until `stopping` is set; those under way are finished.

    Raises OSError, PostgresError, InterfaceError or PgqException where the connection can't be made or is lost. The
    queue has this one connection and never another: what could not be written through it stays undone in the queue,
    and is taken again from there.
    """
    conn = await asyncpg.connect(
        database_url,
        timeout=2.0,
        command_timeout=COMMAND_SECONDS,
        server_settings={"application_name": "heitto-queue", "timezone": "UTC"},
    )
    try:
        queries = Queries(AsyncpgDriver(conn))
        # Failed is only what failed while the queue could not even note that it shall be run again.
        await queries.requeue_jobs([row.id for row in await queries.list_failed_jobs()])
        queuer = PgQueuer.from_asyncpg_connection(conn)
        for name, job in jobs.items():
            queuer.entrypoint(name, on_failure="hold", accepts_context=False)(_until_it_succeeds(name, job))
        for when, chores in ((HOURLY, hourly), (EVERY_MINUTE, every_minute)):
            for name, chore in chores.items():
                queuer.schedule(name, when, accepts_context=False)(_scheduled(chore))
        stopper = asyncio.create_task(_stop(queuer, stopping))
        try:
            await queuer.run(
                dequeue_timeout=timedelta(seconds=POLL_SECONDS),
                heartbeat_timeout=timedelta(seconds=HEARTBEAT_SECONDS),
                shutdown_on_listener_failure=True,
            )
        finally:
            stopper.cancel()
    finally:
        conn.terminate()


def _until_it_succeeds(name: str, job: Job) -> Callable[[Row], Awaitable[None]]:
    async def run(row: Row) -> None:
        try:
            await job(orjson.loads(row.payload or b"null"))
        except (Exception, asyncio.CancelledError) as error:
            # Cancelled too: pgqueuer would take a cancelled job for a finished one.
            delay = min(2.0**row.attempts, LONGEST_WAIT_SECONDS)
            trace = "".join(
                format_exception(error)
            )  # not `exc_info`: structlog may render locals, and so what is sealed
            log.warning("job_failed", job=name, id=row.id, again_in=delay, exception=trace)
            raise RetryRequested(timedelta(seconds=delay), repr(error)) from error

    return run


def _scheduled(chore: Chore) -> Callable[[Schedule], Awaitable[None]]:
    async def run(_: Schedule) -> None:
        await chore()

    return run


async def _stop(queuer: PgQueuer, stopping: asyncio.Event) -> None:
    await stopping.wait()
    queuer.shutdown.set()
