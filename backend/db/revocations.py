"""Access tokens called back before they end. Sessions are ended in `db/sessions.py`, which writes them here too."""

from dataclasses import dataclass
from uuid import UUID

from backend.db.pool import Connection
from backend.db.statements import statements

SQL = statements("revocations")
STATEMENT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RevocationRow:
    """`kind` is SESSION, ACCOUNT or ROLES. `seconds` are left of it, by PostgreSQL's clock."""

    id: UUID
    kind: str
    subject_id: UUID
    seconds: float


async def revoke_account(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> None:
    """No token of an account is good any more, nor will one be: it was joined into another. Its sessions stay."""
    await conn.execute(SQL["revoke_account"], municipality_id, resident_id)


async def reopen(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> None:
    """Closes what an account has open, since its roles are others now; its tokens stay good."""
    await conn.execute(SQL["reopen"], municipality_id, resident_id)


async def revocations_since(conn: Connection, *, position: int | None) -> tuple[int, list[RevocationRow]]:
    """Those from a position in the feed on, all that stand where it is None; and the position to read on from.

    All transactions before it are over and were read; one that commits later has this number or a higher one, also
    after a crash of PostgreSQL, which gives out anew only the numbers that left nothing on disk. Rows may be told
    twice. Raises what asyncpg raises, TimeoutError after STATEMENT_SECONDS."""
    if position is None:
        rows = await conn.fetch(SQL["standing_revocations"], timeout=STATEMENT_SECONDS)
    else:
        rows = await conn.fetch(SQL["revocations_since"], position, timeout=STATEMENT_SECONDS)
    return rows[0][0], [RevocationRow(*row[1:]) for row in rows if row[1]]


async def prune_revocations(conn: Connection) -> None:
    await conn.execute(SQL["prune_revocations"], timeout=60)
