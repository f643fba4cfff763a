"""Background jobs against real PostgreSQL and Valkey, and workers that are really killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from backend.db.pool import SERVER_SETTINGS, Connection, Pool, open_pool
from backend.jobs import queue
from backend.jobs.notify_followers import BATCH, announce, notify_followers
from backend.jobs.prune import prune, prune_old_notifications
from backend.realtime.hub import notifications_channel
from backend.realtime.redis import open_redis
from backend.settings import load_settings

pytestmark = pytest.mark.anyio

NOWHERE = "unix:///nonexistent/valkey.sock"
WORKER = (
    "import asyncio; from backend.jobs.worker import run_worker; from backend.settings import Settings; "
    "asyncio.run(run_worker(Settings()))"
)
SEED = """
WITH m AS (
  INSERT INTO municipalities (slug, names, population, time_zone, locales)
  VALUES ('jobs-' || gen_random_uuid(), '{}', 1, 'Europe/Helsinki', '{fi}') RETURNING id
), d AS (
  INSERT INTO departments (municipality_id, names, position) SELECT id, '{}', 1 FROM m RETURNING municipality_id, id
), t AS (
  INSERT INTO themes (municipality_id, names, department_id, position)
  SELECT municipality_id, '{}', id, 1 FROM d RETURNING municipality_id, id
), p AS (
  INSERT INTO posts (municipality_id, department_id, titles, position)
  SELECT municipality_id, id, '{}', 1 FROM d RETURNING municipality_id, id
), i AS (
  INSERT INTO ideas (municipality_id, number, title, body, locale, theme_id, department_id, post_id, reaction_due_at,
    answer_due_at, placed_on, was_theme_id)
  SELECT d.municipality_id, 1, 'A bench', '', 'en', t.id, d.id, p.id, now(), now(), now(), t.id FROM d, t, p
  RETURNING municipality_id, id
), r AS (
  INSERT INTO residents (municipality_id, display_name, locale)
  SELECT id, 'R' || n, 'fi' FROM m, generate_series(1, $1) AS n
  RETURNING municipality_id, id
), f AS (
  INSERT INTO follows (municipality_id, resident_id, idea_id) SELECT r.municipality_id, r.id, i.id FROM r, i
)
SELECT i.municipality_id, i.id, ARRAY(SELECT id FROM r ORDER BY id) FROM i
"""
TOLD = "SELECT resident_id FROM notifications WHERE municipality_id = $1 ORDER BY resident_id, kind"
JOBS = "SELECT count(*) FROM pgqueuer"


@dataclass(frozen=True, slots=True)
class Scene:
    """An idea and its followers, in the order of their ids."""

    municipality_id: UUID
    idea_id: UUID
    followers: list[UUID]


async def scene(conn: Connection, followers: int) -> Scene:
    row = await conn.fetchrow(SEED, followers)
    assert row
    return Scene(*row)


async def withdrawn(conn: Connection, scene: Scene, *, actor_id: UUID | None = None) -> None:
    """Announces a change of status; one notification for each follower."""
    await announce(
        conn,
        municipality_id=scene.municipality_id,
        idea_id=scene.idea_id,
        event_id=uuid4(),
        response_id=None,
        status_changed=True,
        actor_id=actor_id,
    )


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, size=4)
    yield pool
    await pool.close()


@contextlib.contextmanager
def worker(database_url: str, redis_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process of its own; killed at the end if it still runs."""
    env = {**os.environ, "HEITTO_DATABASE_URL": database_url, "HEITTO_REDIS_URL": redis_url}
    process = subprocess.Popen([sys.executable, "-c", WORKER], env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def until(conn: Connection, condition: str, *args: object) -> None:
    """Waits until a query says true; fails after 20 s."""
    async with asyncio.timeout(20):
        while not await conn.fetchval(condition, *args):  # noqa: ASYNC110 # other processes make it true
            await asyncio.sleep(0.05)


async def test_followers_are_told_and_woken_but_not_the_one_who_acted(pool: Pool, redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    async with redis, redis.pubsub() as pubsub, pool.acquire() as conn:
        here = await scene(conn, followers=3)
        await pubsub.subscribe(notifications_channel(here.municipality_id))
        await pubsub.get_message(timeout=5)
        first, actor, third = here.followers
        event = {
            "municipality_id": str(here.municipality_id),
            "idea_id": str(here.idea_id),
            "event_id": str(uuid4()),
            "response_id": None,
            "status_changed": True,
            "actor_id": str(actor),
        }
        job = notify_followers(pool, redis)
        await job(event)
        await job(event)  # a worker that died after the commit: nobody is told twice, but everybody is woken again
        assert [row[0] for row in await conn.fetch(TOLD, here.municipality_id)] == [first, third]
        for _ in range(2):
            message = await pubsub.get_message(timeout=5)
            assert message and message["data"].decode() == f'["{first}","{third}"]'


async def test_a_large_crowd_is_told_in_batches(pool: Pool, redis_url: str) -> None:
    redis = Redis.from_url(redis_url)
    async with redis, redis.pubsub() as pubsub, pool.acquire() as conn:
        here = await scene(conn, followers=2 * BATCH)
        await pubsub.subscribe(notifications_channel(here.municipality_id))
        await pubsub.get_message(timeout=5)
        event = {
            "municipality_id": str(here.municipality_id),
            "idea_id": str(here.idea_id),
            "event_id": str(uuid4()),
            "response_id": None,
            "status_changed": True,
            "actor_id": None,
        }
        await notify_followers(pool, redis)(event)
        assert [row[0] for row in await conn.fetch(TOLD, here.municipality_id)] == here.followers
        lengths = [len(message["data"]) for _ in range(2) if (message := await pubsub.get_message(timeout=5))]
        assert lengths == [BATCH * 39 + 1] * 2  # each id quoted and followed by a comma or the bracket


async def test_what_is_rolled_back_is_announced_to_nobody(pool: Pool) -> None:
    async with pool.acquire() as conn:
        here = await scene(conn, followers=1)
        before = await conn.fetchval(JOBS)
        transaction = conn.transaction()
        await transaction.start()
        await withdrawn(conn, here)
        assert await conn.fetchval(JOBS) == before + 1
        await transaction.rollback()
        assert await conn.fetchval(JOBS) == before


async def test_a_job_that_fails_runs_again_until_it_succeeds(pool: Pool, database_url: str) -> None:
    runs: list[object] = []
    stopping = asyncio.Event()

    async def fails_first(payload: queue.Payload) -> None:
        runs.append(payload)
        if len(runs) == 1:
            raise OSError("no luck")
        stopping.set()

    async with pool.acquire() as conn:
        await queue.enqueue(conn, "fails_first", {"number": 7})
        async with asyncio.timeout(20):
            await queue.work(database_url, jobs={"fails_first": fails_first}, hourly={}, stopping=stopping)
        assert runs == [{"number": 7}, {"number": 7}]
        assert await conn.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'fails_first'") == 0


async def test_a_job_whose_failure_could_not_be_noted_runs_when_a_worker_starts(pool: Pool, database_url: str) -> None:
    stopping = asyncio.Event()

    async def succeeds(_: queue.Payload) -> None:
        stopping.set()

    async with pool.acquire() as conn:
        await queue.enqueue(conn, "succeeds", {})
        await conn.execute("UPDATE pgqueuer SET status = 'failed'")
        async with asyncio.timeout(20):
            await queue.work(database_url, jobs={"succeeds": succeeds}, hourly={}, stopping=stopping)
        assert await conn.fetchval("SELECT count(*) FROM pgqueuer") == 0


async def test_a_cancelled_worker_leaves_its_job_to_others(pool: Pool, database_url: str) -> None:
    started = asyncio.Event()

    async def never_ends(_: queue.Payload) -> None:
        started.set()
        await asyncio.Event().wait()

    async with pool.acquire() as conn:
        await queue.enqueue(conn, "never_ends", {})
        working = asyncio.create_task(
            queue.work(database_url, jobs={"never_ends": never_ends}, hourly={}, stopping=asyncio.Event())
        )
        async with asyncio.timeout(20):
            await started.wait()
        working.cancel()  # once: waits for the job
        await asyncio.sleep(0.1)
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        assert await conn.fetchval("DELETE FROM pgqueuer WHERE entrypoint = 'never_ends' RETURNING status") == "queued"


@pytest.mark.slow
async def test_a_killed_workers_job_is_finished_by_another_and_tells_everybody_once(
    pool: Pool, database_url: str, redis_url: str
) -> None:
    waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%told AS%')"
    async with pool.acquire() as conn:
        here = await scene(conn, followers=BATCH + 1)
        with worker(database_url, redis_url) as first:
            # The last follower's row is in the second batch: the first worker dies with one batch told.
            async with pool.acquire() as other, other.transaction():
                await other.execute("SELECT FROM residents WHERE id = $1 FOR UPDATE", here.followers[-1])
                await withdrawn(conn, here)
                await until(conn, waits)
                first.kill()
                first.wait()
                assert [row[0] for row in await conn.fetch(TOLD, here.municipality_id)] == here.followers[:-1]
        assert await conn.fetchval("SELECT status FROM pgqueuer") == "picked"
        with worker(database_url, redis_url) as second:
            await until(conn, "SELECT NOT EXISTS (SELECT FROM pgqueuer)")
            second.terminate()
            assert second.wait(15) == 0
        assert [row[0] for row in await conn.fetch(TOLD, here.municipality_id)] == here.followers
        waited = await conn.fetchval(
            "SELECT max(created) - min(created) FROM pgqueuer_log WHERE status = 'picked' GROUP BY job_id"
            " ORDER BY max(id) DESC LIMIT 1"
        )
        assert waited.total_seconds() >= queue.HEARTBEAT_SECONDS


@pytest.mark.slow
async def test_a_worker_outlives_its_connections_and_does_without_redis(pool: Pool, database_url: str) -> None:
    cut = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'heitto%'
    """
    listens = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'heitto-queue')"
    all_told = "SELECT count(*) = 2 FROM notifications WHERE municipality_id = $1"
    conn = await asyncpg.connect(database_url)  # not of the pool, which is cut too
    try:
        with worker(database_url, NOWHERE) as process:
            for _ in range(3):
                await until(conn, listens)
                here = await scene(conn, followers=2)
                await withdrawn(conn, here)
                await conn.fetch(cut)
                await until(conn, all_told, here.municipality_id)
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
    finally:
        await conn.close()


async def test_idempotency_keys_are_forgotten_after_seven_days(pool: Pool) -> None:
    async with pool.acquire() as conn:
        here = await scene(conn, followers=0)
        await conn.execute(
            """
            INSERT INTO idempotency_keys (municipality_id, caller_id, operation, key, input_hash, result_id, created_at)
            SELECT $1, gen_random_uuid(), 'submitIdea', gen_random_uuid(), '', gen_random_uuid(), now() - age
            FROM unnest(ARRAY['6 days 23 hours', '7 days 1 hour']::interval[]) AS age
            """,
            here.municipality_id,
        )
        await prune(pool, load_settings())()
        ages = await conn.fetch("SELECT now() - created_at AS age FROM idempotency_keys")
        assert [row["age"].days for row in ages] == [6]


async def test_notifications_and_what_became_of_jobs_are_forgotten_in_time(pool: Pool) -> None:
    async with pool.acquire() as conn:
        here = await scene(conn, followers=1)
        await conn.execute(
            """
            INSERT INTO notifications (municipality_id, id, resident_id, event_id, kind, idea_id)
            SELECT $1, uuidv7(-age), $2, gen_random_uuid(), 'RESPONSE', $3
            FROM unnest(ARRAY['9 days 23 hours', '10 days 1 hour', '1 year']::interval[]) AS age
            """,
            here.municipality_id,
            here.followers[0],
            here.idea_id,
        )
        await prune_old_notifications(pool, load_settings(notification_days=10))()
        left = await conn.fetch("SELECT now() - created_at FROM notifications")
        assert [row[0].days for row in left] == [9]
        await conn.execute(
            """
            INSERT INTO pgqueuer_log (job_id, status, priority, entrypoint, created)
            SELECT 1, 'successful', 0, 'x', now() - age FROM unnest(ARRAY['29 days', '31 days']::interval[]) AS age
            """
        )
        await prune(pool, load_settings())()
        assert await conn.fetchval("SELECT count(*) FROM pgqueuer_log WHERE entrypoint = 'x'") == 1


async def test_what_piled_up_is_forgotten_however_long_that_takes(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a week without workers: a statement takes longer than one of a request may."""
    slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.15); RETURN NULL; END'"
    tables = (
        "email_challenges idempotency_keys public_changes passkey_challenges invitations login_attempts"
        " data_export_parts data_exports pgqueuer_log revocations"
    )
    async with pool.acquire() as conn:
        await conn.execute(slow)
        for table in tables.split():
            await conn.execute(
                f"CREATE TRIGGER slow BEFORE DELETE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION slow()"
            )
        await conn.execute(
            """
            INSERT INTO pgqueuer_log (job_id, status, priority, entrypoint, created)
            VALUES (1, 'successful', 0, 'x', now() - interval '9 days')
            """
        )
    monkeypatch.setitem(SERVER_SETTINGS, "statement_timeout", "100ms")
    monkeypatch.setattr("backend.db.pool.COMMAND_SECONDS", 0.1)
    impatient = await open_pool(database_url, size=1)
    try:
        await prune(impatient, load_settings(job_log_days=8))()
    finally:
        await impatient.close()
    assert await pool.fetchval("SELECT count(*) FROM pgqueuer_log WHERE entrypoint = 'x'") == 0


async def test_redis_away_fails_no_job(pool: Pool) -> None:
    redis = open_redis(NOWHERE)
    async with pool.acquire() as conn:
        here = await scene(conn, followers=1)
        await notify_followers(pool, redis)(
            {
                "municipality_id": str(here.municipality_id),
                "idea_id": str(here.idea_id),
                "event_id": str(uuid4()),
                "response_id": None,
                "status_changed": True,
                "actor_id": None,
            }
        )
        assert [row[0] for row in await conn.fetch(TOLD, here.municipality_id)] == here.followers
    await redis.aclose()
