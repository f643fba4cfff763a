"""Carries PostgreSQL's changes to the boards in Redis, at most some tenths of a second behind.

Every process that serves or works runs one. A round reads, in one snapshot, what changed since the position that Redis
holds, writes it guarded by versions, and moves the position to where the next has to read on. Rounds may overlap,
repeat and die anywhere: what they leave undone the next one does. Every few seconds an audit looks for what is wrong
though nothing changed.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import structlog
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from backend.catalogues import Catalogues
from backend.db import boards as truth
from backend.db.boards import Changes
from backend.db.pool import Pool, acquire, transaction, unavailable
from backend.errors import RequestError
from backend.metrics import BOARD_REBUILDS
from backend.realtime.audit import first_difference
from backend.realtime.boards import Boards, State, rebuild_key
from backend.realtime.claims import claimed
from backend.realtime.redis import REDIS_FAILURES

ROUND_SECONDS = 0.5  # between rounds while votes come in: what they cost doesn't grow with the votes
IDLE_SECONDS = 1.0  # between rounds while nothing does: keeps boards fresh, finds what others left undone
AUDIT_SECONDS = 2.0  # between audits of a municipality by one process
AUDIT_SHARE = 0.05  # of a process's time that they may take

log = structlog.get_logger()


class Projector:
    def __init__(self, pool: Pool, boards: Boards, catalogues: Catalogues) -> None:
        self._pool = pool
        self._boards = boards
        self._catalogues = catalogues
        self._hurry = asyncio.Event()
        self._next_audit: dict[UUID, float] = {}

    def hurry(self) -> None:
        """Something was committed here: let the next round come soon."""
        self._hurry.set()

    async def run(self) -> None:
        """Rounds until cancelled."""
        while True:
            self._hurry.clear()
            with self._waiting():
                for municipality_id in (await self._catalogues.ids()).values():
                    with self._waiting():
                        await self.round(municipality_id)
                        if time.monotonic() >= self._next_audit.get(municipality_id, 0.0):
                            await self.audit(municipality_id)
            await asyncio.sleep(ROUND_SECONDS)
            # Not wait_for: in Python 3.11 it can swallow a cancellation that comes as the event does.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS - ROUND_SECONDS):
                    await self._hurry.wait()

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        """A failure is one of now and of one municipality: the next round tries again."""
        try:
            yield
        except Exception as error:
            if isinstance(error, (RequestError, *REDIS_FAILURES)) or unavailable(error):
                log.debug("projector_waits", error=repr(error))
            else:
                log.exception("projector_failed")

    async def round(self, municipality_id: UUID) -> None:
        """Brings one municipality's boards up to date. Raises Unavailable or one of REDIS_FAILURES."""
        as_of = await self._boards.now()
        async with self._mending(municipality_id):
            state = await self._boards.state(municipality_id)
            if state is None:
                await self.rebuild(municipality_id)
                return
            async with acquire(self._pool) as conn:
                changes = await truth.board_changes(conn, municipality_id=municipality_id, since=state.position)
            if changes is None:
                return
            if str(changes.today) != state.today or changes.position < state.position:
                await self.rebuild(municipality_id)
                return
            await self._boards.apply(municipality_id, state, changes.standings, position=changes.position, as_of=as_of)

    async def audit(self, municipality_id: UUID) -> None:
        """Makes the boards anew where something in them is wrong. Raises Unavailable or one of REDIS_FAILURES."""
        began = time.monotonic()
        try:
            async with self._mending(municipality_id):
                difference = await first_difference(self._pool, self._boards, municipality_id)
                if difference:
                    log.warning("boards_differ", municipality=str(municipality_id), key=difference)
                    await self.rebuild(municipality_id)
        finally:
            ended = time.monotonic()
            self._next_audit[municipality_id] = ended + max(AUDIT_SECONDS, (ended - began) / AUDIT_SHARE)

    @contextlib.asynccontextmanager
    async def _mending(self, municipality_id: UUID) -> AsyncIterator[None]:
        """Makes the boards anew where Redis answers, but holds something that isn't ours: WRONGTYPE and the like."""
        try:
            yield
        except (OutOfMemoryError, ReadOnlyError):
            raise  # nothing that writing more would mend
        except (ResponseError, ValueError) as error:
            log.warning("boards_poisoned", municipality=str(municipality_id), error=str(error))
            await self.rebuild(municipality_id)

    async def rebuild(self, municipality_id: UUID) -> Changes | None:
        """Makes all boards of a municipality anew, as a new generation; None where somebody else is at it."""
        async with claimed(self._boards.redis, rebuild_key(municipality_id)) as mine:
            return await self._rebuild(municipality_id) if mine else None

    async def _rebuild(self, municipality_id: UUID) -> Changes | None:
        as_of = await self._boards.now()
        old = self._boards.generation(municipality_id)
        async with transaction(self._pool) as conn:
            await conn.execute("SET LOCAL statement_timeout = '10min'")  # all ideas of a municipality, however many
            await truth.renumber_changes(conn, municipality_id=municipality_id)
            changes = await truth.board_changes(conn, municipality_id=municipality_id, since=0)
        if changes is None:
            return None
        generation = f"{changes.today:%Y%m%d}-{secrets.token_hex(4)}"
        state = State(generation, str(changes.today), changes.position, as_of)
        await self._boards.replace(municipality_id, state, changes.standings)
        if old:
            scopes = {scope for standing in changes.standings for scope in standing.scope_ids}
            await self._boards.forget(municipality_id, old, scopes)
        BOARD_REBUILDS.inc()
        log.info("boards_rebuilt", municipality=str(municipality_id), ideas=len(changes.standings))
        return changes
