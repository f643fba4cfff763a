"""Every state the boards have had in SQL, in order, so that an answer can be held against the moment it claims to show.

A trigger in the test's database writes down each change of a count, holding a lock until its transaction is over: the
order of the notes is the order of the commits. The votes of the test are cast today, so a change of the count changes
every window by the same, and TRENDING by 14 times that.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from backend.db.boards import Board, Window, board_page
from backend.db.pool import Connection

WEIGHTS = {window: 14 if window is Window.TRENDING else 1 for window in Window}
PLACES = 20  # that are compared
LONGEST_SECONDS = 180  # of a history

NOTES = """
CREATE TABLE notes (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid xid8 NOT NULL, noted double precision NOT NULL,
  idea_id uuid NOT NULL, change integer NOT NULL
);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1);
  INSERT INTO notes (xid, noted, idea_id, change) VALUES (
    pg_current_xact_id(), extract(epoch FROM clock_timestamp()), NEW.idea_id, NEW.vote_count - OLD.vote_count);
  RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE ON idea_tallies FOR EACH ROW WHEN (NEW.vote_count <> OLD.vote_count)
  EXECUTE FUNCTION note();
"""
Places = list[tuple[UUID, int]]  # idea and score


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction's: idea to votes more. `noted` in seconds of the epoch, before its commit, after the last one's."""

    noted: float
    votes: dict[UUID, int]


@dataclass(slots=True)
class History:
    conn: Connection
    first: dict[Board, dict[UUID, int]]
    changes: list[Change] = field(default_factory=list)
    _read: int = 0
    _total: Counter[UUID] = field(default_factory=Counter)

    async def read_on(self) -> None:
        rows = await self.conn.fetch(
            "SELECT number, xid::text, noted, idea_id, change FROM notes WHERE number > $1 ORDER BY number", self._read
        )
        for _, group in itertools.groupby(rows, key=lambda row: row[1]):
            of_one = list(group)
            change = Change(of_one[-1][2], {row[3]: row[4] for row in of_one})
            self.changes.append(change)
            self._total.update(change.votes)
            self._read = of_one[-1][0]

    def age(self, board: Board, places: Places, *, at: float) -> float | None:
        """How many seconds before `at` the board last was like this, 0 where it may still be; None where it wasn't in
        the last minute."""
        total = Counter(self._total)
        noted = [0.0, *(change.noted for change in self.changes), float("inf"), float("inf")]
        for n in range(len(self.changes), -1, -1):
            # State n begins after its note; it ends with the next commit, which comes before the note after that.
            began, ended = noted[n], noted[n + 2]
            if ended < at - 60:
                break
            if began <= at and self._places(board, total) == places:
                return max(0.0, at - ended)
            if n:
                total.subtract(self.changes[n - 1].votes)
        return None

    def _places(self, board: Board, total: Counter[UUID]) -> Places:
        weight, always = WEIGHTS[board.window], board.window in {Window.ALL_TIME, Window.TRENDING}
        scores = ((idea_id, score + weight * total[idea_id]) for idea_id, score in self.first[board].items())
        shown = [(idea_id, score) for idea_id, score in scores if always or score > 0]
        return sorted(shown, key=lambda place: (-place[1], place[0]))[:PLACES]


async def keep_history(conn: Connection, municipality_id: UUID, scopes: Sequence[UUID | None]) -> History:
    """From now on; nobody may vote while this is called. All must be of one local day: a near midnight passes first."""
    left: float = await conn.fetchval(
        """
        SELECT extract(epoch FROM (now() AT TIME ZONE time_zone)::date + 1 - (now() AT TIME ZONE time_zone))::float8
        FROM municipalities WHERE id = $1
        """,
        municipality_id,
    )
    if left < LONGEST_SECONDS:
        await asyncio.sleep(left + 1)
    await conn.execute(NOTES)
    today: date = await conn.fetchval(
        "SELECT (now() AT TIME ZONE time_zone)::date FROM municipalities WHERE id = $1", municipality_id
    )
    first: dict[Board, dict[UUID, int]] = {}
    for scope_id, window in itertools.product(scopes, Window):
        board = Board(municipality_id, scope_id, window)
        everything = await board_page(
            conn, Board(municipality_id, scope_id, Window.ALL_TIME), today=today, limit=10_000
        )
        scored = await board_page(conn, board, today=today, limit=10_000)
        first[board] = {entry.idea_id: 0 for entry in everything} | {entry.idea_id: entry.score for entry in scored}
    return History(conn, first)
