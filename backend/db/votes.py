"""Votes: statements written many at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.db.ideas import IdeaRow
from backend.db.pool import Connection
from backend.db.statements import statements

SQL = statements("votes")


# Not frozen, though nobody writes to them: they are made for every vote, and frozen would take three times as long.
@dataclass(slots=True)
class VoteStatement:
    """A resident's word on an idea. `decided_at` None is now."""

    municipality_id: UUID
    idea_id: UUID
    resident_id: UUID
    voted: bool
    decided_at: datetime | None = None
    channel: str = "PHONE"

    @property
    def ballot(self) -> tuple[UUID, UUID, UUID]:
        """What there is one row for."""
        return self.municipality_id, self.idea_id, self.resident_id


@dataclass(slots=True)
class VoteRow:
    """A vote that stands."""

    strength: str
    cast_at: datetime


@dataclass(slots=True)
class VoteOutcome:
    """What stands after a statement. `idea` is None where there is no such idea; `judged` is False where the idea
    takes no votes, and nothing was changed."""

    resident_known: bool
    idea: IdeaRow | None
    judged: bool
    vote: VoteRow | None


async def set_votes(conn: Connection, votes: Sequence[VoteStatement]) -> list[VoteOutcome]:
    """Writes and answers each statement; at most one for a ballot. All stand, or on an error none does."""
    columns = zip(
        *((v.municipality_id, v.idea_id, v.resident_id, v.voted, v.decided_at, v.channel) for v in votes), strict=True
    )
    outcomes: dict[int, VoteOutcome] = {}
    for numbers, known, voted, strengths, cast_at, idea_there, *idea in await conn.fetch(SQL["set_votes"], *columns):
        row = IdeaRow._make(idea) if idea_there else None
        for n, number in enumerate(numbers):
            vote = VoteRow(strengths[n], cast_at[n]) if voted[n] else None
            outcomes[number] = VoteOutcome(known[n], row, voted[n] is not None, vote)
    return [outcomes[number] for number in range(1, len(votes) + 1)]


async def recount(conn: Connection, *, municipality_id: UUID) -> None:
    """Makes all tallies of a municipality anew from its votes. For bulk loads, inside their transaction."""
    await conn.execute(SQL["recount"], municipality_id, timeout=600)


async def settle_votes(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, joined_ids: Sequence[UUID] = (), strength: str
) -> int:
    """Makes the votes of `joined_ids` the resident's, and all of them of this strength; tallies move with them. How
    many votes changed. All these accounts are locked by an earlier statement (`db/identities.py` `hold_accounts`)."""
    settled: int = await conn.fetchval(SQL["settle_votes"], municipality_id, resident_id, list(joined_ids), strength)
    return settled
