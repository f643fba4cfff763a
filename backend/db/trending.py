"""TRENDING scores kept beside the tallies, for today and tomorrow: `set_votes` moves them, this makes them ready."""

from typing import Final
from uuid import UUID

from backend.db.pool import Connection
from backend.db.statements import statements

SQL = statements("trending")
BATCH: Final = 200  # ideas locked at once: votes on them wait for some milliseconds


async def prepare_trending(conn: Connection, *, municipality_id: UUID) -> int:
    """Prepares some ideas that aren't, and holds them until the transaction ends; how many."""
    late = await conn.fetch(SQL["unprepared"], municipality_id, BATCH)
    if late:
        _, even, odd = late[0]
        await conn.execute(SQL["prepare_trending"], municipality_id, even, odd, [row[0] for row in late])
    return len(late)
