"""What must stand after statements of which some were acknowledged and of others nobody knows."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

Ballot = tuple[UUID, UUID]  # resident, idea


@dataclass(slots=True)
class Statement:
    """`answered` is None where no answer came: it may have been carried out, at any time since."""

    resident_id: UUID
    idea_id: UUID
    voted: bool
    decided_at: datetime | None
    sent: datetime
    answered: datetime | None = None

    def decided(self, now: datetime) -> tuple[datetime, datetime]:
        """When it counts as decided, at the earliest and at the latest: as said, or as carried out where that is
        earlier."""
        latest = self.answered or now
        said = self.decided_at or datetime.max.replace(tzinfo=UTC)
        return min(said, self.sent), min(said, latest)


@dataclass(frozen=True, slots=True)
class Row:
    """What PostgreSQL holds of a ballot."""

    voted: bool
    decided_at: datetime


def violations(statements: Iterable[Statement], rows: dict[Ballot, Row], *, now: datetime) -> list[str]:
    """Ballots that hold something else than the newest of the acknowledged statements and of some of the others."""
    by_ballot: defaultdict[Ballot, list[Statement]] = defaultdict(list)
    for statement in statements:
        by_ballot[statement.resident_id, statement.idea_id].append(statement)
    found = [f"{ballot}: nobody said anything" for ballot in rows.keys() - by_ballot.keys()]
    for ballot, said in by_ballot.items():
        row = rows.get(ballot)
        acknowledged = [each for each in said if each.answered]
        if row is None:
            if acknowledged:
                found.append(f"{ballot}: acknowledged, and not there")
            continue
        lost = [each for each in acknowledged if row.decided_at < each.decided(now)[0]]
        found += [f"{ballot}: {each} was acknowledged, yet an older one stands: {row}" for each in lost]
        causes = (each.decided(now) for each in said if each.voted == row.voted)
        if not any(earliest <= row.decided_at <= latest for earliest, latest in causes):
            found.append(f"{ballot}: nobody said {row}")
    return found
