"""Group commit: a municipality's votes that arrive at the same moment share one statement, and each is answered after
its commit."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from operator import attrgetter
from uuid import UUID

import asyncpg
import structlog

from backend.batches import Batches
from backend.db.pool import Pool, acquire
from backend.db.votes import VoteOutcome, VoteStatement, set_votes
from backend.errors import Unavailable
from backend.metrics import VOTE_BATCH, VOTES

LARGEST_BATCH = 500
LATELY_SECONDS = 1.0
_TRY_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

log = structlog.get_logger()


class VoteBatches:
    """One a process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # While one batch is being written the next one gathers. More at once would be as quick and cost PostgreSQL a
        # third more for each vote, measured with 64 callers. A ballot's second statement waits for the batch after, so
        # that both are answered in turn.
        # A municipality's votes wait for each other alone: what locks the ideas of one for long is no other's trouble.
        self._batches: defaultdict[UUID, Batches[VoteStatement, VoteOutcome]] = defaultdict(
            lambda: Batches(self._commit, largest=LARGEST_BATCH, apart=attrgetter("ballot"))
        )
        self._voted_at: OrderedDict[UUID, float] = OrderedDict()

    async def set_vote(self, statement: VoteStatement) -> VoteOutcome:
        """What stands after the statement, durably. Raises Unavailable where that isn't known: a repeat is safe."""
        return await self._batches[statement.municipality_id].outcome(statement)

    def voted_lately(self, resident_id: UUID) -> bool:
        """Whether a vote of theirs was committed here within the last second: what others may see later, they look
        for at once."""
        voted_at = self._voted_at.get(resident_id)
        return voted_at is not None and asyncio.get_running_loop().time() < voted_at + LATELY_SECONDS

    def _remember(self, statements: Sequence[VoteStatement]) -> None:
        now = asyncio.get_running_loop().time()
        for statement in statements:
            self._voted_at[statement.resident_id] = now
            self._voted_at.move_to_end(statement.resident_id)
        while next(iter(self._voted_at.values())) < now - LATELY_SECONDS:
            self._voted_at.popitem(last=False)

    async def _commit(self, statements: Sequence[VoteStatement]) -> list[VoteOutcome]:
        async with acquire(self._pool) as conn:
            try:
                outcomes = await set_votes(conn, statements)
            except _TRY_AGAIN:
                outcomes = await set_votes(conn, statements)
            except asyncpg.InterfaceError as error:
                raise Unavailable from error
        self._remember(statements)
        VOTES.inc(len(statements))
        VOTE_BATCH.observe(len(statements))
        return outcomes
