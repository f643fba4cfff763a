"""Access tokens called back before they end. Sessions are ended in `db/sessions.py`, which writes them here too."""

from uuid import UUID

from backend.db.pool import Connection
from backend.db.statements import statements

SQL = statements("revocations")


async def revoke_account(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> None:
    """No token of an account is good any more, nor will one be: it was joined into another. Its sessions stay."""
    await conn.execute(SQL["revoke_account"], municipality_id, resident_id)


async def reopen(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> None:
    """Closes what an account has open, since its roles are others now; its tokens stay good."""
    await conn.execute(SQL["reopen"], municipality_id, resident_id)
