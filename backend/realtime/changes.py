"""Follows what changes of what everybody may read, so that a process knows which of its kept answers still hold.

PostgreSQL is asked, not Redis: a lost message, a slow or emptied Redis make nothing stale by going unnoticed. While
somebody asks for kept answers there is a poll every POLL_SECONDS; what it tells is true of the moment it began. Answers
are served for VERIFIED_SECONDS from then at the most; without polls nothing kept is served.

A poll reads what was committed since the one before, exactly: by the snapshot, while the connection is the same, else
from the position on, which may tell some changes twice.
"""

import asyncio
import contextlib
import math
from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from backend.db.pool import Connection, Pool, acquire, unavailable
from backend.db.public_changes import ChangeRow, changes_since
from backend.errors import RequestError
from backend.provenance import Sources, groups_of, ideas_of, votes_of

POLL_SECONDS: Final = 0.4
RETRY_SECONDS: Final = 0.2
VERIFIED_SECONDS: Final = 0.9  # from the beginning of a poll
WAIT_SECONDS: Final = 0.25  # for a poll, by who wants an answer; then one is made and not kept
IDLE_SECONDS: Final = 5.0  # without a question, until polls end
LOG_SECONDS: Final = 60.0  # of changes are remembered, for what other processes made
LOG_CHANGES: Final = 20_000
SHOWN_SECONDS: Final = 0.95  # from a commit until every answer shows it

log = structlog.get_logger()


@dataclass(slots=True)
class Batch:
    """What one poll told. `since` is when the poll before began: none of it was committed earlier (seconds of the
    loop's clock)."""

    number: int
    since: float
    at: float
    rows: tuple[ChangeRow, ...]
    ids: set[str] = field(default_factory=set)
    lists: defaultdict[str, list[ChangeRow]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for row in self.rows:
            for name in lists_of(row):
                self.lists[name].append(row)
            self.ids.add((row.subject_id or row.municipality_id).hex)

    def touches(self, sources: Sources) -> bool:
        if not self.ids.isdisjoint(sources.ids):
            return True
        return any(
            admitted(row, sources, name)
            for name in self.lists.keys() & sources.lists.keys()
            for row in self.lists[name]
        )


def lists_of(row: ChangeRow) -> list[str]:
    """The lists whose rows, or whose order, a change may be to."""
    if row.kind == "VOTES":
        return [votes_of(scope) for scope in (row.municipality_id, *row.scope_ids)]
    if row.kind == "IDEA":
        return [ideas_of(scope) for scope in (row.municipality_id, *row.scope_ids)]
    return [groups_of(row.municipality_id)] if row.kind == "GROUPS" else []


def admitted(row: ChangeRow, sources: Sources, name: str) -> bool:
    """Whether a row that is not on a page of the list may be on it now."""
    id = row.subject_id.hex if row.subject_id else ""
    return any(span.admits(id, row.vote_count) for span in sources.lists[name])


def touched(rows: Iterable[ChangeRow], sources: Sources) -> bool:
    return Batch(0, 0.0, 0.0, tuple(rows)).touches(sources)


class Changes:
    """One a process. `verified_until` is of the loop's clock; `sequence` counts the polls that told something."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.verified_until = -math.inf
        self.sequence = 0
        self.position = 0
        self._covers = 0
        self._snapshot: str | None = None
        self._polled_at = -math.inf
        self._batches: deque[Batch] = deque()
        self._forgotten = 0  # number of the newest batch that is remembered no more
        self.asked_at = -math.inf
        self._wanted = asyncio.Event()
        self._hurry = asyncio.Event()
        self.doubted_at = -math.inf
        self._poll: asyncio.Future[bool] | None = None

    def ask(self) -> None:
        """Somebody wants kept answers: polls go on."""
        self.asked_at = asyncio.get_running_loop().time()
        self._wanted.set()

    def recheck(self) -> None:
        """Something was committed here: nothing kept is served until a poll has looked at it. So who changed something
        sees it at once, by this process; votes don't do so, since a poll for each would be one after the other."""
        self.doubted_at = asyncio.get_running_loop().time()
        self.verified_until = -math.inf
        self._hurry.set()

    async def verify(self) -> bool:
        """Whether what is known is fresh enough to serve by, after the next poll where it wasn't."""
        self.ask()
        loop = asyncio.get_running_loop()
        if loop.time() < self.verified_until:
            return True
        if self._poll is None:
            self._poll = loop.create_future()
        await asyncio.wait([self._poll], timeout=WAIT_SECONDS)
        return loop.time() < self.verified_until

    def changed(self, sources: Sources, since: int) -> bool:
        """Whether anything of `sources` changed after the poll numbered `since`."""
        if since < self._forgotten:
            return True
        for batch in reversed(self._batches):
            if batch.number <= since:
                return False
            if batch.touches(sources):
                return True
        return False

    async def changed_after(self, sources: Sources, position: int) -> bool:
        """Whether anything of `sources` may have changed since a position in the feed; True where nobody can tell."""
        rows = await self._rows_after(position)
        return rows is None or touched(rows, sources)

    async def shown_for(self, names: Collection[str], position: int) -> float:
        """For how many seconds lists may be shown that were read off a mirror at `position`: for ever where they lack
        nothing that is known of, else until what they lack must be shown; not above 0 where it is too late for that."""

        def lacks(row: ChangeRow) -> bool:
            return row.kind == "ALL" or not frozenset(lists_of(row)).isdisjoint(names)

        if position < self._covers:
            rows = await self._rows_after(position)
            return 0.0 if rows is None or any(lacks(row) for row in rows) else math.inf
        for batch in self._batches:
            if any(row.xid >= position and lacks(row) for row in batch.rows):
                return batch.since + SHOWN_SECONDS - asyncio.get_running_loop().time()
        return math.inf

    async def _rows_after(self, position: int) -> list[ChangeRow] | None:
        if position >= self._covers:
            return [row for batch in self._batches for row in batch.rows if row.xid >= position]
        try:
            async with acquire(self._pool) as conn:
                read = await changes_since(conn, position=position, snapshot=None)
        except Exception as error:
            _expect(error)
            return None
        return None if read.rows is None else list(read.rows)

    async def run(self) -> None:
        """Polls while somebody asks, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            self._snapshot = None  # of another connection: a crash may lie between
            try:
                async with acquire(self._pool) as conn:
                    while loop.time() - self.asked_at < IDLE_SECONDS:
                        self._hurry.clear()
                        began = loop.time()
                        await self._read(conn)
                        if began >= self.doubted_at:
                            self._answer()
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout_at(max(began + POLL_SECONDS, loop.time() + 0.01)):
                                await self._hurry.wait()
                    self._wanted.clear()
            except Exception as error:
                _expect(error)
                self._answer()
                await asyncio.sleep(RETRY_SECONDS)

    def _answer(self) -> None:
        if self._poll:
            self._poll.set_result(True)
            self._poll = None

    async def _read(self, conn: Connection) -> None:
        began, first = asyncio.get_running_loop().time(), not self.position
        read = await changes_since(conn, position=self.position or 2**62, snapshot=self._snapshot)
        if first:
            self._covers = read.covers
        elif read.rows is None:
            self._forget_all(read.covers)
            log.info("answers_all_stale")
        elif read.rows:
            self.sequence += 1
            self._batches.append(Batch(self.sequence, self._polled_at, began, read.rows))
        self._trim(began)
        self._snapshot, self.position = read.snapshot, max(read.position, self.position)
        self._polled_at = began
        if began >= self.doubted_at:
            self.verified_until = began + VERIFIED_SECONDS

    def _forget_all(self, covers: int) -> None:
        self.sequence += 1
        self._batches.clear()
        self._forgotten, self._covers = self.sequence, covers

    def _trim(self, now: float) -> None:
        while self._batches and (
            self._batches[0].at < now - LOG_SECONDS or sum(len(each.rows) for each in self._batches) > LOG_CHANGES
        ):
            old = self._batches.popleft()
            self._forgotten = old.number
            self._covers = max(self._covers, *(row.xid + 1 for row in old.rows))


def _expect(error: Exception) -> None:
    """A failure of now: kept answers wait. Anything else is logged as what it is."""
    if isinstance(error, (RequestError, TimeoutError)) or unavailable(error):
        log.debug("changes_unknown", error=repr(error))
    else:
        log.exception("changes_failed")
