"""The workloads, and the statements that a lane of the load generator makes in turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

QUICK_CONNECTIONS = (64,)  # of a run that chooses its workloads and not its connections


@dataclass(frozen=True, slots=True)
class Workload:
    """`ideas` counts those that take votes; none where a page is read. `beside` is votes a second that land on the
    board while its page is read. `connections` are those of a whole run."""

    key: str
    title: str
    signed_in: bool
    ideas: int = 0
    beside: int = 0
    connections: tuple[int, ...] = (1, 32, 256)

    def lanes(self, connections: int) -> int:
        """A lane makes one statement after another. Votes have a lane a connection, so that none overtakes the last."""
        return connections if self.ideas else 1


WORKLOADS = (
    Workload("W1", "public board page", signed_in=False),
    Workload("W1v", "public board page, 200 votes/s landing on it", signed_in=False, beside=200),
    Workload("W2", "signed-in board page", signed_in=True),
    Workload("W3", "setVote over 200 ideas", signed_in=True, ideas=200, connections=(64, 256)),
    Workload("W4", "setVote on one idea", signed_in=True, ideas=1, connections=(64, 256)),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Requests as bytes of HTTP: a head of `heads` (one a caller) and a body of `bodies` (a pair: voted, withdrawn).
    An answer has `good` in it."""

    lanes: int
    heads: Sequence[str]
    bodies: Sequence[tuple[str, str]]
    good: str = '"data":{'

    @property
    def changes_rows(self) -> bool:
        """Then a step follows the answer to the one before; else the request, so that callers really come in turn."""
        return any(votes != withdraws for votes, withdraws in self.bodies)

    def callers(self, lane: int) -> Sequence[str]:
        """The heads of the lane's own callers."""
        return self.heads[lane :: self.lanes]

    def statement(self, lane: int, step: int) -> tuple[int, int, bool]:
        """Caller, subject and whether it votes, in the lane's step; `load.lua` has the same rule.

        Each caller belongs to one lane, which goes through all pairs of its callers and the subjects, and then again
        with the opposite vote: so each statement changes a row.
        """
        callers = len(self.callers(lane))
        turn, pair = divmod(step, callers * len(self.bodies))
        row, caller = divmod(pair, callers)
        return caller * self.lanes + lane, (row + caller * 37 + lane * 13) % len(self.bodies), turn % 2 == 0

    def request(self, lane: int, step: int) -> str:
        caller, subject, votes = self.statement(lane, step)
        body = self.bodies[subject][0 if votes else 1]
        return f"{self.heads[caller]}Content-Length: {len(body)}\r\n\r\n{body}"


def standing(
    plan: Plan, residents: Sequence[UUID], ideas: Sequence[UUID], answered: Sequence[int]
) -> tuple[dict[tuple[UUID, UUID], bool], set[tuple[UUID, UUID]]]:
    """What each (resident, idea) must be after so many answers on each lane; and the pairs asked last, not answered."""
    stands: dict[tuple[UUID, UUID], bool] = {}
    unanswered = set()
    for lane, count in enumerate(answered):
        for step in range(count):
            resident, idea, votes = plan.statement(lane, step)
            stands[residents[resident], ideas[idea]] = votes
        resident, idea, _ = plan.statement(lane, count)
        unanswered.add((residents[resident], ideas[idea]))
    return stands, unanswered
