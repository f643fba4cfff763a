"""Casts the ballots of a file through the public API, as many voters at once would."""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import orjson

from backend.auth.keys import SigningKeys
from backend.auth.tokens import sign_access_token
from backend.errors import HeittoError
from backend.ids import global_id
from backend.imports.ballots import Imported
from backend.imports.casting import Connection, connect, head, tail
from backend.imports.progress import Report, tracked
from backend.pabulib import Ballot

SET_VOTE = "mutation ($input: SetVoteInput!) { setVote(input: $input) { idea { voteCount } errors { code } } }"
TOKEN_SECONDS = 86_400
PATIENCE_SECONDS = 60  # how long one vote is tried again before the replay gives up
PAUSE_SECONDS = 0.2
_STEP = 1_000

Cast = tuple[bytes, Sequence[str]]  # the head of a voter's requests, the projects on the ballot


class ReplayFailed(HeittoError):
    """The server takes no votes of ours. Those it took stand; the same file can be replayed under another slug."""


@dataclass(slots=True)
class Replayed:
    """`latencies` are seconds, of every vote that was answered, from its first sending; `repeats` counts what was sent
    again after a lost answer or a 503, `refused` votes by the code they were refused with."""

    seconds: float = 0.0
    ballots: int = 0
    latencies: array[float] = field(default_factory=lambda: array("d"))
    repeats: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def votes(self) -> int:
        return len(self.latencies)

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else 0.0


def signed_heads(
    keys: SigningKeys, *, issuer: str, url: str, slug: str, imported: Imported, report: Report
) -> list[bytes]:
    """The head of each voter's requests, with a token of its own."""
    now = datetime.now(UTC)
    heads = []
    for resident_id in tracked(imported.resident_ids, report, "Signing tokens", len(imported.resident_ids)):
        token, _ = sign_access_token(
            keys,
            issuer=issuer,
            resident_id=resident_id,
            municipality=slug,
            roles=["RESIDENT"],
            strength=imported.strength,
            now=now,
            ttl=TOKEN_SECONDS,
        )
        heads.append(head(url, municipality=slug, token=token))
    return heads


def tails(idea_ids: Mapping[str, UUID]) -> dict[str, bytes]:
    """The rest of a request for each project."""

    def body(idea_id: UUID) -> bytes:
        variables = {"input": {"ideaId": global_id("Idea", idea_id), "voted": True}}
        return orjson.dumps({"query": SET_VOTE, "variables": variables})

    return {project_id: tail(body(idea_id)) for project_id, idea_id in idea_ids.items()}


async def cast_ballots(
    url: str,
    *,
    heads: Sequence[bytes],
    tails: Mapping[str, bytes],
    ballots: Sequence[Ballot],
    connections: int,
    report: Report,
) -> Replayed:
    """Each connection casts one ballot after another, a request a vote, each when the one before is answered.

    Raises ReplayFailed where the server refuses the tokens or gives no answer for a minute.
    """
    replayed, total = Replayed(), sum(len(ballot.projects) for ballot in ballots)
    waiting = iter(list(zip(heads, (ballot.projects for ballot in ballots), strict=True)))
    report("Casting votes", 0, total)
    started = time.perf_counter()

    async def lane() -> None:
        voter = _Voter(url, replayed)
        try:
            await _cast(waiting, voter, tails, replayed, report, total)
        finally:
            voter.close()
