"""Casts the ballots of a file through the public API, as many voters at once would."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import orjson

from backend.auth.keys import SigningKeys
from backend.auth.tokens import sign_access_token
from backend.ids import global_id
from backend.imports.ballots import Imported
from backend.imports.casting import Client, ReplayFailed, head, tail
from backend.imports.progress import Report, tracked
from backend.pabulib import Ballot

SET_VOTE = "mutation ($input: SetVoteInput!) { setVote(input: $input) { idea { voteCount } errors { code } } }"
TOKEN_SECONDS = 86_400
_HOPELESS = (400, 401, 403, 404)  # another key, another database, no such path
_STEP = 1_000


@dataclass(slots=True)
class Replayed:
    """`latencies` are seconds, of every vote that was answered, from its first sending; `repeats` counts what was sent
    again after a lost answer or a 503, `refused` votes by the code they were refused with."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    repeats: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def votes(self) -> int:
        return len(self.latencies)

    def percentiles(self, *shares: float) -> list[float]:
        """Milliseconds."""
        ordered = sorted(self.latencies) or [0.0]
        return [ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 for share in shares]


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
            session_id=uuid4(),  # of no row: these end with the replay
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
    waiting = zip(heads, ballots, strict=True)
    report("Casting votes", 0, total)

    async def lane() -> None:
        client = Client(url)
        try:
            for start, ballot in waiting:  # one iterator for all lanes
                for project in ballot.projects:
                    asked_at = time.perf_counter()
                    status, body = await client.ask(start + tails[project])
                    replayed.latencies.append(time.perf_counter() - asked_at)
                    if code := _refusal(status, body):
                        replayed.refused[code] += 1
                    if replayed.votes % _STEP == 0 or replayed.votes == total:
                        report("Casting votes", replayed.votes, total)
        finally:
            replayed.repeats += client.repeats
            client.close()

    started = time.perf_counter()
    lanes = [asyncio.create_task(lane()) for _ in range(connections)]
    try:
        await asyncio.gather(*lanes)
    finally:
        for each in lanes:
            each.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
    replayed.seconds = time.perf_counter() - started
    return replayed


def _refusal(status: int, body: bytes) -> str | None:
    """The code of a vote that was not taken. Raises ReplayFailed for what would refuse every vote alike."""
    if status in _HOPELESS:
        raise ReplayFailed(f"the server answers {status}: {body[:200].decode(errors='replace')}")
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return f"HTTP {status}"
    match answer:
        case {"data": {"setVote": {"idea": {}, "errors": []}}}:
            return None
        case {"data": {"setVote": {"errors": [{"code": str(code)}, *_]}}}:
            return code
        case {"errors": [{"extensions": {"code": str(code)}}, *_]}:
            return code
    return f"HTTP {status}"
