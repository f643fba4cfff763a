"""Keeps today's and tomorrow's TRENDING scores beside the tallies.

Lists are right without it, only slow: they make the score of every idea that isn't prepared when they are read.
"""

from uuid import UUID

from backend.catalogues import Catalogues
from backend.db.pool import Pool, transaction
from backend.db.trending import prepare_trending
from backend.jobs.queue import Chore


def prepare(pool: Pool) -> Chore:
    """Each run goes on until nothing is left. Killed anywhere, the next one takes up the rest."""

    async def some(municipality_id: UUID) -> int:
        async with transaction(pool) as conn:
            return await prepare_trending(conn, municipality_id=municipality_id)

    async def run() -> None:
        for municipality_id in (await Catalogues(pool).ids()).values():
            while await some(municipality_id):
                pass

    return run
