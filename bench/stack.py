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
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Data:
    """`residents` and `ideas` in a fixed order; `ideas` are the 200 that take the bench's votes."""

    database_url: str
    redis_url: str
    residents: list[UUID]
    ideas: list[UUID]


def make(database_url: str, redis_url: str) -> Data:
    async def work(conn: Connection) -> Data:
        await migrate(conn)
        await conn.execute((_HERE / "data.sql").read_text())
        await conn.execute((_HERE / "peers" / "postgraphile" / "api.sql").read_text())
        await conn.execute("VACUUM ANALYZE")
        residents = [row[0] for row in await conn.fetch("SELECT id FROM residents ORDER BY id")]
        ideas = [row[0] for row in await conn.fetch("SELECT id FROM ideas WHERE number > 9800 ORDER BY id")]
        return Data(database_url, redis_url, residents, ideas)

    return _on(database_url, work)


def reset(data: Data) -> int:
    """Takes back every vote on the 200 ideas and empties Redis; row versions of votes written so far."""

    async def work(conn: Connection) -> int:
        async with conn.transaction():
            await conn.execute("DELETE FROM votes WHERE idea_id = ANY($1)", data.ideas)
            await conn.execute("DELETE FROM tally_days WHERE idea_id = ANY($1)", data.ideas)
            await conn.execute(
                "UPDATE idea_tallies SET device_count = 0, email_count = 0, strong_count = 0, vote_count = 0,"
                " was_vote_count = 0, version = version + 1, changed_xid = pg_current_xact_id()::text::bigint"
                " WHERE idea_id = ANY($1) AND version > 1",
                data.ideas,
            )
        await conn.execute("VACUUM ANALYZE votes, tally_days, idea_tallies, ideas")
        await conn.execute("CHECKPOINT")
        return await _written(conn)

    redis.from_url(data.redis_url).flushall()
    return _on(data.database_url, work)


def recount(data: Data, *, before: int, runs: list[tuple[Plan, list[int], list[UUID], list[UUID]]]) -> str:
    """What is wrong with the votes after runs of a plan, its answers, residents and ideas; nothing when all is right.

    Every answered statement holds, each wrote one row version, and tallies and day buckets equal the votes. Statements
    sent last, whose answers were not awaited, may hold or not.
    """
    stands: dict[tuple[UUID, UUID], bool] = {}
    unanswered: set[tuple[UUID, UUID]] = set()
    for plan, answered, residents, ideas in runs:
        done, pending = standing(plan, residents, ideas, answered)
        stands |= done
        unanswered |= pending
    total = sum(sum(answered) for _, answered, _, _ in runs)
    in_flight = sum(plan.lanes for plan, _, _, _ in runs)

    async def work(conn: Connection) -> str:
        written = await _written(conn) - before
        if not total <= written <= total + in_flight:
            return f"{total} statements answered, {written} rows written"
        rows = await conn.fetch("SELECT resident_id, idea_id, voted FROM votes WHERE idea_id = ANY($1)", data.ideas)
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


async def fetch(database_url: str, statement: str) -> list[asyncpg.Record]:
    conn = await asyncpg.connect(database_url)
    try:
        return await conn.fetch(statement)
    finally:
        await conn.close()


def rows(data: Data, statement: str) -> list[asyncpg.Record]:
    return asyncio.run(fetch(data.database_url, statement))


def made(database_url: str, redis_url: str) -> Data:
    """The data of `bench.million`: a part of its residents, and ideas that take votes."""
    residents = asyncio.run(fetch(database_url, "SELECT id FROM residents ORDER BY md5(id::text) LIMIT 2000"))
    ideas = asyncio.run(
        fetch(
            database_url,
            "SELECT id FROM ideas WHERE status IN ('OPEN', 'UNDER_REVIEW') AND hidden_at IS NULL"
            " ORDER BY md5(number::text) LIMIT 200",
        )
    )
    return Data(database_url, redis_url, [row[0] for row in residents], [row[0] for row in ideas])


def _on(database_url: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        conn = await asyncpg.connect(database_url)
        try:
            return await work(conn)
        finally:
            await conn.close()

    return asyncio.run(run())
