"""The feed of changes to what everybody may read: votes out of the tallies, the rest out of `public_changes`."""

from dataclasses import dataclass
from uuid import UUID

from backend.db.pool import Connection
from backend.db.statements import statements

SQL = statements("public_changes")
LARGEST = 2_000  # changes told one by one; a bulk load passes it
STATEMENT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """`kind` is VOTES or one of the table's. `vote_count` and `scope_ids` are an idea's."""

    kind: str
    xid: int
    municipality_id: UUID
    subject_id: UUID | None
    vote_count: int
    scope_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class ChangesRead:
    """`position`: all transactions before it are over and were read; what changes later has this number or a higher
    one, also after a crash, for then PostgreSQL gives out anew the numbers that left nothing on disk. `covers`: no
    change from this number on is older than the reading. `rows` is None where there are more than LARGEST.
    """

    snapshot: str
    position: int
    covers: int
    rows: tuple[ChangeRow, ...] | None


async def changes_since(conn: Connection, *, position: int, snapshot: str | None) -> ChangesRead:
    """What changed from a position on, less what a snapshot taken on this very connection had seen. Raises what
    asyncpg raises, TimeoutError after STATEMENT_SECONDS."""
    rows = await conn.fetch(SQL["changes_since"], position, snapshot, LARGEST + 1, timeout=STATEMENT_SECONDS)
    told, oldest_running, newest = rows[0][:3]
    found = [ChangeRow(row[3], row[4], row[5], row[6], row[7], tuple(row[8])) for row in rows if row[3]]
    return ChangesRead(
        told, min(oldest_running, newest + 1), newest + 1, tuple(found) if len(found) <= LARGEST else None
    )


async def next_due(conn: Connection, *, municipality_id: UUID) -> float | None:
    """Seconds until the next promise becomes late, by PostgreSQL's clock."""
    seconds: float | None = await conn.fetchval(SQL["next_due"], municipality_id)
    return seconds


async def prune_public_changes(conn: Connection) -> None:
    await conn.execute(SQL["prune_public_changes"], timeout=60)
