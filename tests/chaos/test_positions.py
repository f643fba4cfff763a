"""What Redis remembers of PostgreSQL's changes stays true when PostgreSQL is killed."""

import asyncio
import os
import signal

import asyncpg
import pytest

from backend.commands import connect, migrate_database
from backend.db.boards import board_changes
from backend.db.municipalities import slugs
from backend.demo.load import load_demo
from backend.embedded.servers import embedded_servers
from tests.chaos.house import scratch

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_no_change_after_a_crash_lies_before_the_position_kept() -> None:
    """PostgreSQL forgets the numbers of transactions of which nothing had reached the disk, and gives them out anew."""
    with scratch() as folder, embedded_servers(folder) as servers:
        assert servers.postgres
        await migrate_database(servers.database_url)
        conn = await connect(servers.database_url)
        await load_demo(conn, empty=False)
        [municipality_id] = (await slugs(conn)).values()
        # What nobody waits for reaches the disk late: five times in a second otherwise.
        await conn.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        await conn.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(0.5)
        for _ in range(5):
            undone = conn.transaction()
            await undone.start()
            await conn.execute("UPDATE ideas SET title = title WHERE number = 1")
            await undone.rollback()
        before = await board_changes(conn, municipality_id=municipality_id, since=0)
        assert before
        os.kill(servers.postgres.pid, signal.SIGKILL)
        newest = await next_transaction(servers.database_url)
        assert before.position <= newest


async def next_transaction(url: str) -> int:
    """The number of a new transaction, as soon as PostgreSQL is back."""
    for _ in range(200):
        try:
            conn = await asyncpg.connect(url, timeout=2)
            break
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.05)
    number: int = await conn.fetchval("SELECT pg_current_xact_id()::text::bigint")
    await conn.close()
    return number
