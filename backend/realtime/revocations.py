"""Which access tokens were called back, so that every process refuses them within five seconds of the commit.

PostgreSQL is asked, not Redis: each process reads the feed `revocations` every POLL_SECONDS, in commit order. Whoever
calls back hurries the others over Redis; a message says only "look", so a lost or forged one does no harm. What is
known is held in memory and asked for without waiting. Where the feed could not be read lately, nobody who signed in
is served: their token may have been called back, and without PostgreSQL there would be little to serve.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Final
from uuid import UUID

import structlog

from backend.db.pool import Connection, Pool, acquire, unavailable
from backend.db.revocations import RevocationRow, revocations_since
from backend.errors import RequestError, Unavailable
from backend.realtime.hub import revocations_channel
from backend.realtime.redis import REDIS_FAILURES, Client

POLL_SECONDS: Final = 1.5
SOONEST_SECONDS: Final = 0.05  # between two polls, however many hurry them
RETRY_SECONDS: Final = 0.2
VERIFIED_SECONDS: Final = 4.0  # from the beginning of a poll: who comes later waits for the next
STALE_SECONDS: Final = 4.9  # likewise, until nobody is believed any more
WAIT_SECONDS: Final = 1.5  # for a poll, by who needs one
ROLES_SECONDS: Final = 60.0  # a caller admitted before, whose stream has yet to open, has it open by then

log = structlog.get_logger()


async def hurry_others(redis: Client, *, municipality_id: UUID) -> None:
    """Tells every process to look, after the commit. Without Redis they look by themselves a little later."""
    try:
        await redis.publish(revocations_channel(municipality_id), b"[]")
    except REDIS_FAILURES as error:
        log.debug("revocation_not_pushed", error=repr(error))


class Revocations:
    """One a process. `hurry` is set by whoever knows of something new; `changed` is called when a poll told something.

    `sequence` counts these polls. Times are of the loop's clock. Until the first poll, which tells all that stands,
    nobody is believed.
    """

    def __init__(self, pool: Pool, redis: Client, hurry: asyncio.Event) -> None:
        self._pool = pool
        self._redis = redis
        self._hurry = hurry
        self._position: int | None = None
        self._polled = asyncio.Event()  # of the poll to come
        self._began = -math.inf
        self._told: set[UUID] = set()  # the rows of the last poll; what is told twice is told twice in a row
        self._revoked: dict[UUID, float] = {}  # ids of sessions and of residents, until when
        self._roles: dict[UUID, tuple[int, float]] = {}  # by resident: told at which sequence, remembered until when
        self.sequence = 0
        self.changed: Callable[[], None] = lambda: None

    @property
    def verified(self) -> bool:
        """Whether what is known is fresh enough to admit somebody."""
        return asyncio.get_running_loop().time() < self._began + VERIFIED_SECONDS

    @property
    def stale(self) -> bool:
        """Whether it is too old for whom was admitted before."""
        return asyncio.get_running_loop().time() >= self._began + STALE_SECONDS

    async def verify(self) -> None:
        """Waits for the next poll where that isn't so. Raises Unavailable where none comes."""
        if not self.verified and not await self.look():
            raise Unavailable

    def revoked(self, session_id: UUID, resident_id: UUID) -> bool:
        return bool(self._revoked) and (session_id in self._revoked or resident_id in self._revoked)

    def roles_changed(self, resident_id: UUID, since: int) -> bool:
        """Whether a poll after the one numbered `since` told so."""
        return resident_id in self._roles and self._roles[resident_id][0] > since

    async def announce(self, municipality_id: UUID, *, wait: bool = True) -> None:
        """After a commit that called something back: other processes look at once, and this one has looked when this
        returns, where it can. Without `wait` it returns before, so that who ended their own session gets an answer."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hurry_others(self._redis, municipality_id=municipality_id))
            self._hurry.set()
            if wait:
                tasks.create_task(self.look())

    async def look(self) -> bool:
        """Whether a poll that began after the call was over within WAIT_SECONDS."""
        asked = asyncio.get_running_loop().time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                while self._began <= asked:
                    self._hurry.set()
                    await self._polled.wait()
                return True
        return False

    async def run(self) -> None:
        """Polls until cancelled, on one connection for as long as that lasts."""
        while True:
            try:
                async with acquire(self._pool) as conn:
                    while True:
                        began = asyncio.get_running_loop().time()
                        await self._poll(conn, began)
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout_at(began + POLL_SECONDS):
                                await asyncio.sleep(SOONEST_SECONDS)
                                await self._hurry.wait()
            except Exception as error:
                if isinstance(error, (RequestError, TimeoutError)) or unavailable(error):
                    log.debug("revocations_unknown", error=repr(error))
                else:
                    log.exception("revocations_failed")
                await asyncio.sleep(RETRY_SECONDS)

    async def _poll(self, conn: Connection, began: float) -> None:
        self._hurry.clear()
        position, rows = await revocations_since(conn, position=self._position)
        self._forget(began)
        new = [row for row in rows if row.id not in self._told]
        if new:
            self.sequence += 1
            for row in new:
                self._take(row, began)
        self._told = {row.id for row in rows}
        self._position, self._began = position, began
        polled, self._polled = self._polled, asyncio.Event()
        polled.set()
        if new:
            self.changed()

    def _take(self, row: RevocationRow, now: float) -> None:
        if row.kind == "ROLES":
            self._roles[row.subject_id] = self.sequence, now + ROLES_SECONDS
        else:
            self._revoked[row.subject_id] = max(now + row.seconds, self._revoked.get(row.subject_id, now))

    def _forget(self, now: float) -> None:
        for id in [id for id, until in self._revoked.items() if until < now]:
            del self._revoked[id]
        for id in [id for id, (_, until) in self._roles.items() if until < now]:
            del self._roles[id]
