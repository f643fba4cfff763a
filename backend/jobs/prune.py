"""Forgets what is kept for a time only."""

from backend.db.idempotency import prune_idempotency_keys
from backend.db.pool import Pool, acquire
from backend.db.public_changes import prune_public_changes
from backend.db.revocations import prune_revocations
from backend.db.sessions import prune_refresh_tokens, prune_sessions
from backend.jobs.queue import Chore


def prune(pool: Pool) -> Chore:
    async def run() -> None:
        async with acquire(pool) as conn:
            await prune_idempotency_keys(conn)
            await prune_public_changes(conn)
            await prune_revocations(conn)
            await prune_refresh_tokens(conn)
            await prune_sessions(conn)

    return run
