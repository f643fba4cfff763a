"""Carries PostgreSQL's changes to the boards in Redis, at most some tenths of a second behind.

Every process that serves or works runs one. A round reads, in one snapshot, what changed since the position that Redis
holds, writes it, and moves the position to where the next has to read on. Rounds may overlap, repeat and die anywhere:
of those that overlap one writes, and what they leave undone the next one does.

Beside the rounds goes the upkeep, by one process at a time: boards that aren't held are read whole from PostgreSQL, put
aside, and adopted by a round that carries over what changed meanwhile. Every few seconds an audit looks for what is
wrong though nothing changed.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from backend.catalogues import Catalogues
from backend.cursors import Place
from backend.db import boards as truth
from backend.db.boards import Board
from backend.db.pool import Pool, acquire, transaction, unavailable
from backend.errors import RequestError
from backend.metrics import BOARD_REBUILDS
from backend.realtime.audit import Audit
from backend.realtime.boards import BATCHES, CHUNK, Boards, Depths, Staged, State, fill_key, rebuild_key
from backend.realtime.claims import claimed
from backend.realtime.redis import REDIS_FAILURES

ROUND_SECONDS = 0.5  # between rounds while votes come in: what they cost doesn't grow with the votes
IDLE_SECONDS = 1.0  # between rounds while nothing does: keeps boards fresh, finds what others left undone
AUDIT_SECONDS = 2.0  # between audits of a municipality by one process
AUDIT_SHARE = 0.05  # of a process's time that they may take
MOST_PAGES = 200  # of changes that a round carries; above that it costs less to read all boards whole
MOST_REFILLS = 20  # likewise, of boards
ATTEMPTS = 10  # of a round to write before another does
SETTLED_SECONDS = 15  # after midnight, when no transaction of the day before is under way any more

PLACES = 10_000  # of the boards of a whole municipality
SHALLOWEST, DEEPEST = 25, 1000  # of each other
HELD = 1_200_000  # places of all boards of a municipality, of some 110 bytes each in Redis

log = structlog.get_logger()


def depths(scopes: int, *, places: int = PLACES) -> Depths:
    """Such that the boards of a municipality with so many scopes fit."""
    shared = (HELD - len(BATCHES) // 2 * places * 6 // 5) // (len(BATCHES) // 2 * max(scopes, 1) * 6 // 5)
    return Depths(places, min(places, DEEPEST, max(SHALLOWEST, shared)))


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a round has read, and the position and time it reaches by reading all."""

    place: Place
    position: int
    as_of: int
    pages: int = 0


class Projector:
    def __init__(self, pool: Pool, boards: Boards, catalogues: Catalogues, *, places: int = PLACES) -> None:
        self._pool = pool
        self._boards = boards
        self._catalogues = catalogues
        self._places = places
        self._hurry = asyncio.Event()
        self._begun = asyncio.Event()
        self._audits: dict[UUID, Audit] = {}
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
            await asyncio.sleep(ROUND_SECONDS)
            # Not wait_for: in Python 3.11 it can swallow a cancellation that comes as the event does.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS - ROUND_SECONDS):
                    await self._hurry.wait()

    async def upkeep(self) -> None:
        """Reads what isn't held and audits what is, until cancelled."""
        while True:
            self._begun.clear()
            with self._waiting():
                for municipality_id in (await self._catalogues.ids()).values():
                    with self._waiting():
                        await self.fill(municipality_id)
                        if time.monotonic() >= self._next_audit.get(municipality_id, 0.0):
                            await self.audit(municipality_id)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._begun.wait()

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

    async def round(self, municipality_id: UUID, staged: Staged | None = None) -> bool:
        """Brings one municipality's boards up to date, and those staged into place; False where that was left to
        others. Begins anew where Redis holds nothing to go on from. Raises Unavailable or one of REDIS_FAILURES.

        Reads on in pages, and a page again where somebody else wrote since the state was read: so what is written is
        always newer than what stands. To staged boards nobody else writes: they are adopted when one page tells all
        that changed since everything before it was written to them.
        """
        reading: Reading | None = None
        failures = 0
        async with self._mending(municipality_id):
            while failures < ATTEMPTS:
                as_of = await self._boards.now()
                state = await self._boards.state(municipality_id)
                if staged and (state is None or state.generation != staged.generation):
                    return False
                if state is None or (reading and reading.pages == MOST_PAGES):
                    break
                since = min(state.position, staged.position) if staged else state.position
                place = reading.place if reading else Place(since, truth.NO_IDEA)
                async with acquire(self._pool) as conn:
                    changes = await truth.board_changes(
                        conn, municipality_id=municipality_id, since=place.key, beyond=place.id, limit=CHUNK
                    )
                if changes is None:
                    return False
                if str(changes.today) != state.today or changes.position < state.position:
                    break
                reading = reading or Reading(place, changes.position, as_of)
                more = len(changes.standings) == CHUNK
                all_told = not more and reading.pages == 0
                if not await self._boards.apply(
                    municipality_id,
                    state,
                    changes.standings,
                    position=state.position if more else max(state.position, reading.position),
                    as_of=state.as_of if more else max(state.as_of, reading.as_of),
                    staged=staged,
                    adopt=all_told,
                ):
                    failures += 1
                    reading = reading if reading.pages else None
                elif more:
                    reading = replace(reading, place=changes.last, pages=reading.pages + 1)
                elif staged and not all_told:
                    staged, reading = replace(staged, position=reading.position), None
                else:
                    return True
            else:
                return False
        await self.begin(municipality_id)
        return False

    @contextlib.asynccontextmanager
    async def _mending(self, municipality_id: UUID) -> AsyncIterator[None]:
        """Makes the boards anew where Redis answers, but holds something that isn't ours: WRONGTYPE and the like."""
        try:
            yield
        except (OutOfMemoryError, ReadOnlyError):
            raise  # nothing that writing more would mend
        except (ResponseError, ValueError) as error:
            log.warning("boards_poisoned", municipality=str(municipality_id), error=str(error))
            await self.begin(municipality_id)

    async def begin(self, municipality_id: UUID) -> bool:
        """A new generation, to be filled; False where somebody else is at it, or the municipality unknown."""
        async with claimed(self._boards.redis, rebuild_key(municipality_id)) as mine:
            if not mine:
                return False
            as_of = await self._boards.now()
            async with transaction(self._pool) as conn:
                await truth.take_time(conn)
                await truth.renumber_changes(conn, municipality_id=municipality_id)
                changes = await truth.board_changes(conn, municipality_id=municipality_id, since=0, limit=0)
                scopes = await truth.count_scopes(conn, municipality_id=municipality_id)
            if changes is None:
                return False
            generation = f"{changes.today:%Y%m%d}-{secrets.token_hex(4)}"
            await self._boards.begin(
                municipality_id,
                State(
                    generation,
                    str(changes.today),
                    changes.position,
                    as_of,
                    secrets.token_hex(4),
                    0,
                    depths(scopes, places=self._places),
                ),
            )
            self._begun.set()
            return True

    async def rebuild(self, municipality_id: UUID) -> bool:
        """Makes all boards of a municipality anew; False where somebody else is at it."""
        return await self.begin(municipality_id) and await self.fill(municipality_id)

    async def fill(self, municipality_id: UUID) -> bool:
        """Reads whole, batch by batch, what no process has yet; False where somebody else is at it, or it must wait."""
        state = await self._boards.state(municipality_id)
        if state is None or state.filled >= len(BATCHES):
            return state is not None
        async with claimed(self._boards.redis, fill_key(municipality_id)) as mine:
            began = time.monotonic()
            while mine and (state := await self._boards.state(municipality_id)) and state.filled < len(BATCHES):
                staged = await self._stage_batch(municipality_id, state)
                if staged is None or not await self._adopt(municipality_id, staged):
                    return False
            if mine and state:
                BOARD_REBUILDS.inc()
                log.info("boards_filled", municipality=str(municipality_id), seconds=time.monotonic() - began)
            return mine and state is not None

    async def _stage_batch(self, municipality_id: UUID, state: State) -> Staged | None:
        at_midnight, scoped, window = BATCHES[state.filled]
        names: dict[Board, tuple[str, str]] = {}
        async with transaction(self._pool) as conn:
            await truth.take_time(conn)
            changes = await truth.board_changes(conn, municipality_id=municipality_id, since=0, limit=0)
            if changes is None or str(changes.today) != state.today:
                return None
            if at_midnight and changes.since_midnight < SETTLED_SECONDS:
                return None
            limit = state.depths.kept(Board(municipality_id, municipality_id if scoped else None, window)) + 1
            async for boards in truth.highest_places(
                conn,
                municipality_id,
                window,
                scoped=scoped,
                at_midnight=at_midnight,
                today=changes.today,
                limit=limit,
                at_once=CHUNK,
            ):
                names |= await self._boards.stage(state, boards)
        return Staged(state.generation, changes.position, names, state.filled + 1)

    async def refill(self, board: Board) -> bool:
        """Reads one board whole; False where that was left to others."""
        state = await self._boards.state(board.municipality_id)
        if state is None:
            return False
        async with transaction(self._pool) as conn:
            await truth.take_time(conn)
            changes = await truth.board_changes(conn, municipality_id=board.municipality_id, since=0, limit=0)
            if changes is None or str(changes.today) != state.today:
                return False
            entries = await truth.board_page(
                conn, board, today=changes.today, limit=state.depths.kept(board) + 1, seconds=truth.WHOLE_SECONDS
            )
        names = await self._boards.stage(state, {board: entries})
        return await self._adopt(board.municipality_id, Staged(state.generation, changes.position, names))

    async def _adopt(self, municipality_id: UUID, staged: Staged) -> bool:
        adopted = await self.round(municipality_id, staged)
        if not adopted:
            await self._boards.discard(municipality_id, staged)
        return adopted

    async def audit(self, municipality_id: UUID) -> None:
        """Looks at some boards, drops those in which something is wrong, and reads anew what isn't held or has become
        too short. Raises Unavailable or one of REDIS_FAILURES."""
        began = time.monotonic()
        audit = self._audits.setdefault(municipality_id, Audit(self._pool, self._boards, municipality_id))
        try:
            async with self._mending(municipality_id):
                found = await audit.look()
                for board in found.wrong:
                    log.warning("board_differs", board=str(board))
                    await self._boards.drop(board)
                if len(found.refill) > MOST_REFILLS:
                    await self.begin(municipality_id)
                elif found.refill:
                    async with claimed(self._boards.redis, fill_key(municipality_id)) as mine:
                        for board in found.refill if mine else ():
                            await self.refill(board)
        finally:
            ended = time.monotonic()
            self._next_audit[municipality_id] = ended + max(AUDIT_SECONDS, (ended - began) / AUDIT_SHARE)
