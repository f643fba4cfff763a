"""Carries PostgreSQL's changes to the boards in Redis, at most some tenths of a second behind.

Every process that serves or works runs one. A round reads, in one snapshot, what changed since the position that Redis
holds, writes it guarded by versions, and moves the position to the oldest transaction that snapshot could not yet see.
Rounds may overlap, repeat and die anywhere: what they leave undone the next one does.
"""

import asyncio
import contextlib
import secrets
from uuid import UUID

import structlog
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from backend.catalogues import Catalogues
from backend.db import boards as truth
from backend.db.boards import Changes
from backend.db.pool import Pool, acquire, transaction
from backend.errors import Unavailable
from backend.realtime.boards import Boards, State
from backend.realtime.redis import REDIS_FAILURES

ROUND_SECONDS = 0.25  # between rounds while votes come in
IDLE_SECONDS = 1.0  # between rounds while nothing does: keeps boards fresh, finds what others left undone

log = structlog.get_logger()


class Projector:
    def __init__(self, pool: Pool, boards: Boards, catalogues: Catalogues) -> None:
        self._pool = pool
        self._boards = boards
        self._catalogues = catalogues
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        """Something was committed here: let the next round come soon."""
        self._hurry.set()

    async def run(self) -> None:
        """Rounds until cancelled."""
        while True:
            self._hurry.clear()
            try:
                for municipality_id in (await self._catalogues.ids()).values():
                    await self.round(municipality_id)
            except (Unavailable, *REDIS_FAILURES) as error:
                log.debug("projector_waits", error=repr(error))
            except Exception:
                log.exception("projector_failed")
            await asyncio.sleep(ROUND_SECONDS)
            # Not wait_for: in Python 3.11 it can swallow a cancellation that comes as the event does.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS - ROUND_SECONDS):
                    await self._hurry.wait()

    async def round(self, municipality_id: UUID) -> None:
        """Brings one municipality's boards up to date. Raises Unavailable or one of REDIS_FAILURES."""
        as_of = await self._boards.now()
        try:
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
        except (OutOfMemoryError, ReadOnlyError):
            raise  # nothing that writing more would mend
        except ResponseError as error:
            # WRONGTYPE and the like: Redis answers, but holds something that isn't ours.
            log.warning("boards_poisoned", municipality=str(municipality_id), error=str(error))
            await self.rebuild(municipality_id)

    async def rebuild(self, municipality_id: UUID) -> Changes | None:
        """Makes all boards of a municipality anew, as a new generation; None where somebody else is at it."""
        if not await self._boards.claim_rebuild(municipality_id):
            return None
        try:
            as_of = await self._boards.now()
            old = self._boards.generation(municipality_id)
            async with transaction(self._pool) as conn:
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
            log.info("boards_rebuilt", municipality=str(municipality_id), ideas=len(changes.standings))
            return changes
        finally:
            with contextlib.suppress(*REDIS_FAILURES):
                await self._boards.release_rebuild(municipality_id)
