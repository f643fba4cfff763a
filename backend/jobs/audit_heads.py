"""Says in the log where each audit chain ends, once an hour.

The log is kept elsewhere than the database, by others: with one of its lines `heitto audit-verify --expect` finds also
what the chain alone can't tell, that its end was cut off or that all of it was written anew (docs/adr/0033).
"""

import structlog

from backend.db import audit
from backend.db.pool import Pool, acquire
from backend.jobs.queue import Chore

log = structlog.get_logger()


def log_heads(pool: Pool) -> Chore:
    async def run() -> None:
        async with acquire(pool) as conn:
            heads = await audit.heads(conn)
        for slug, head in heads.items():
            log.info("audit_head", municipality=slug, sequence=head.sequence, hash=head.hash.hex())

    return run
