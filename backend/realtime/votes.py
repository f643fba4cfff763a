"""Group commit: votes that arrive at the same moment share one statement, and each is answered after its commit."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import structlog

from backend.db.pool import Pool, acquire
from backend.db.votes import VoteOutcome, VoteStatement, set_votes
from backend.errors import Unavailable
from backend.metrics import VOTE_BATCH, VOTES

LARGEST_BATCH = 500
# While one batch is being written the next one gathers. More at once would be as quick and cost PostgreSQL a third
# more for each vote, measured with 64 callers; waiting on purpose would only add to each caller's time.
BATCHES_IN_FLIGHT = 1
LATELY_SECONDS = 1.0
_TRY_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

log = structlog.get_logger()


class VoteBatches:
    """One a process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[tuple[VoteStatement, asyncio.Future[VoteOutcome]]] = []
        self._writers: set[asyncio.Task[None] | None] = set()
        self._voted_at: OrderedDict[UUID, float] = OrderedDict()

    async def set_vote(self, statement: VoteStatement) -> VoteOutcome:
        """What stands after the statement, durably. Raises Unavailable where that isn't known: a repeat is safe."""
        answer: asyncio.Future[VoteOutcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((statement, answer))
        if len(self._writers) < BATCHES_IN_FLIGHT:
            self._writers.add(asyncio.create_task(self._write()))
        return await answer

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

    async def _write(self) -> None:
        """Batches until nobody waits. It leaves in the same breath in which it sees that: whoever comes after starts
        the next one."""
        while self._waiting:
            await asyncio.sleep(0)  # lets in whoever has come to this point in the same turn of the loop
            batch = self._take()
            if not batch:  # another writer was quicker
                continue
            try:
                outcomes = await self._commit([statement for statement, _ in batch])
            except Exception as error:  # whatever it was, every caller must hear of it
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), outcome in zip(batch, outcomes, strict=True):
                if not answer.done():  # a caller who went away
                    answer.set_result(outcome)
        self._writers.discard(asyncio.current_task())

    def _take(self) -> list[tuple[VoteStatement, asyncio.Future[VoteOutcome]]]:
        """The next batch: a ballot's second statement waits for the batch after, so that both are answered in turn."""
        batch: list[tuple[VoteStatement, asyncio.Future[VoteOutcome]]] = []
        rest: list[tuple[VoteStatement, asyncio.Future[VoteOutcome]]] = []
        ballots = set()
        for item in self._waiting:
            ballot = item[0].ballot
            if len(batch) < LARGEST_BATCH and ballot not in ballots:
                batch.append(item)
            else:
                rest.append(item)
            ballots.add(ballot)
        self._waiting = rest
        return batch

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
