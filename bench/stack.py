"""The data: made once a run, brought back to the same state before each measurement, recounted after it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import asyncpg
import redis

from backend.db.migrate import migrate
from backend.db.pool import Connection
from bench.workloads import Plan, standing

_HERE = Path(__file__).parent
_PEOPLE = """
SELECT r.id, EXISTS (SELECT FROM votes v WHERE (v.municipality_id, v.resident_id) = (r.municipality_id, r.id))
FROM residents r
ORDER BY r.id"""
_TOP = """
SELECT i.id FROM (
  SELECT municipality_id, idea_id, vote_count FROM idea_tallies ORDER BY vote_count DESC, idea_id LIMIT 20
) AS t JOIN ideas i ON (i.municipality_id, i.id) = (t.municipality_id, t.idea_id)
WHERE i.status IN ('OPEN', 'UNDER_REVIEW')
ORDER BY i.id"""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Data:
    """All in a fixed order. `ideas` are the 200 that take the bench's votes, `top` those of the board's first page that
    take votes; for these only the `voters` vote, who have no votes at the start."""

    database_url: str
    redis_url: str
    residents: list[UUID]
    voters: list[UUID]
    ideas: list[UUID]
    top: list[UUID]


def make(database_url: str, redis_url: str) -> Data:
    async def work(conn: Connection) -> Data:
        await migrate(conn)
        await conn.execute((_HERE / "data.sql").read_text())
        await conn.execute((_HERE / "peers" / "postgraphile" / "api.sql").read_text())
        await conn.execute(
            "CREATE SCHEMA bench_start;"
            "CREATE TABLE bench_start.tally_days AS TABLE tally_days;"
            "CREATE TABLE bench_start.idea_tallies AS TABLE idea_tallies"
        )
        await conn.execute("VACUUM ANALYZE")
        people = await conn.fetch(_PEOPLE)
        ideas = [row[0] for row in await conn.fetch("SELECT id FROM ideas WHERE number > 9800 ORDER BY id")]
        return Data(
            database_url,
            redis_url,
            residents=[row[0] for row in people if row[1]],
            voters=[row[0] for row in people if not row[1]],
            ideas=ideas,
            top=[row[0] for row in await conn.fetch(_TOP)],
        )

    return _on(database_url, work)


def reset(data: Data) -> int:
    """Takes back every vote of a run and empties Redis; row versions of votes written so far."""

    async def work(conn: Connection) -> int:
        changing = data.ideas + data.top
        async with conn.transaction():
            await conn.execute(
                "DELETE FROM votes WHERE idea_id = ANY($1) OR resident_id = ANY($2)", data.ideas, data.voters
            )
            await conn.execute("DELETE FROM tally_days WHERE idea_id = ANY($1)", changing)
            await conn.execute(
                "INSERT INTO tally_days SELECT * FROM bench_start.tally_days WHERE idea_id = ANY($1)", changing
            )
            await conn.execute(
                "UPDATE idea_tallies t SET device_count = s.device_count, email_count = s.email_count,"
                " strong_count = s.strong_count, vote_count = s.vote_count, was_vote_count = s.was_vote_count,"
                " version = t.version + 1, changed_xid = pg_current_xact_id()::text::bigint"
                " FROM bench_start.idea_tallies s"
                " WHERE (t.municipality_id, t.idea_id) = (s.municipality_id, s.idea_id)"
                " AND t.idea_id = ANY($1) AND t.version > 1",
                changing,
            )
        await conn.execute("VACUUM ANALYZE votes, tally_days, idea_tallies, ideas")
        await conn.execute("CHECKPOINT")
        return await _written(conn)

    redis.from_url(data.redis_url).flushall()
    return _on(data.database_url, work)


def top_counts(data: Data) -> list[int]:
    """Vote counts of the board's first page, as PostgreSQL has them."""

    async def work(conn: Connection) -> list[int]:
        rows = await conn.fetch(
            "SELECT t.vote_count FROM idea_tallies t ORDER BY t.vote_count DESC, t.idea_id LIMIT 20"
        )
        return [row[0] for row in rows]

    return _on(data.database_url, work)


@dataclass(frozen=True, slots=True)
class Votes:
    """A plan that was carried out, with its answers by lane; by and for whom."""

    plan: Plan
    answered: list[int]
    residents: list[UUID]
    ideas: list[UUID]


def recount(data: Data, *, before: int, votes: list[Votes]) -> str:
    """What is wrong with the votes of a run; nothing when all is right.

    Every answered statement holds, each wrote one row version, and tallies and day buckets equal the votes. Statements
    sent last, whose answers were not awaited, may hold or not.
    """
    stands: dict[tuple[UUID, UUID], bool] = {}
    unanswered: set[tuple[UUID, UUID]] = set()
    for cast in votes:
        done, pending = standing(cast.plan, cast.residents, cast.ideas, cast.answered)
        stands |= done
        unanswered |= pending
    total = sum(sum(cast.answered) for cast in votes)
    in_flight = sum(cast.plan.lanes for cast in votes)

    async def work(conn: Connection) -> str:
        written = await _written(conn) - before
        if not total <= written <= total + in_flight:
            return f"{total} statements answered, {written} rows written"
        rows = await conn.fetch(
            "SELECT resident_id, idea_id, voted FROM votes WHERE idea_id = ANY($1) OR resident_id = ANY($2)",
            data.ideas,
            data.voters,
        )
        found = {(row[0], row[1]): row[2] for row in rows}
        lost = sum(found.get(pair) is not voted for pair, voted in stands.items() if pair not in unanswered)
        if lost or found.keys() - stands.keys() - unanswered:
            return f"{lost} answered statements don't hold"
        differing = await conn.fetchval((_HERE / "recount.sql").read_text())
        return f"{differing} tallies differ from their votes" if differing else ""

    return _on(data.database_url, work)


def describe(data: Data) -> dict[str, object]:
    """Versions of the stores, and what makes an answered vote durable."""

    async def work(conn: Connection) -> dict[str, object]:
        names = ("server_version", "fsync", "synchronous_commit", "wal_sync_method")
        return {f"postgresql {name}": await conn.fetchval("SELECT current_setting($1)", name) for name in names}

    info = redis.from_url(data.redis_url).info("server")
    return {**_on(data.database_url, work), "redis": info.get("valkey_version") or info["redis_version"]}


async def _written(conn: Connection) -> int:
    """Row versions of votes written by inserts and updates since the server started."""
    await conn.execute("SELECT pg_stat_force_next_flush()")
    written: int = await conn.fetchval(
        "SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname = 'votes' AND schemaname = 'public'"
    )
    return written


def _on(database_url: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        conn = await asyncpg.connect(database_url)
        try:
            return await work(conn)
        finally:
            await conn.close()

    return asyncio.run(run())
