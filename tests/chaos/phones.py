"""Residents who vote, change their minds, repeat themselves, report late and lose the connection."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx2

from backend.ids import global_id
from tests.chaos.ballots import Statement
from tests.chaos.house import Resident

SET_VOTE = """
mutation ($input: SetVoteInput!) {
  setVote(input: $input) { idea { voteCount viewerVote { castAt } } errors { code } }
}
"""
ANSWER_SECONDS = 10.0  # twice what the promise F2 allows: a longer wait counts as hanging


@dataclass(slots=True)
class Record:
    """What was said and what came of it. `seconds` are of answers, `wrong` what no answer may be."""

    statements: list[Statement] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    acknowledged_at: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        return self.outcomes["acknowledged"]


@dataclass(frozen=True, slots=True)
class Phone:
    """One device of a resident; two of them are one account."""

    client: httpx2.AsyncClient
    resident: Resident
    urls: Sequence[str]
    ideas: Callable[[], Sequence[UUID]]
    random: random.Random
    record: Record
    pause: float
    cuts: bool = True

    async def run(self, going_on: Callable[[], bool]) -> None:
        last: Statement | None = None
        while going_on():
            draw = self.random.random()
            if last and (draw < 0.1 or not last.answered):  # repeats itself, surely so where no answer came
                statement = Statement(last.resident_id, last.idea_id, last.voted, last.decided_at, datetime.now(UTC))
                last = None
            else:
                statement = self._statement()
                last = statement
            self.record.statements.append(statement)
            await self._say(statement)
            await asyncio.sleep(self.random.uniform(0, 2 * self.pause))

    def _statement(self) -> Statement:
        now, draw = datetime.now(UTC), self.random.random()
        decided_at = None
        if draw < 0.15:
            decided_at = now - timedelta(seconds=self.random.uniform(1, 600))  # reported late
        elif draw < 0.3:
            decided_at = now - timedelta(milliseconds=self.random.uniform(0, 500))
        elif draw < 0.35:
            decided_at = now + timedelta(days=1)  # a wrong clock
        voted = self.random.random() < 0.65
        return Statement(self.resident.id, self.random.choice(self.ideas()), voted, decided_at, now)

    async def _say(self, statement: Statement) -> None:
        said = {"ideaId": global_id("Idea", statement.idea_id), "voted": statement.voted}
        if statement.decided_at:
            said["decidedAt"] = statement.decided_at.isoformat()
        patience = self.random.uniform(0, 0.03) if self.cuts and self.random.random() < 0.1 else None
        record, began = self.record, time.monotonic()
        try:
            async with asyncio.timeout(patience):
                answer = await self.client.post(
                    self.random.choice(self.urls),
                    json={"query": SET_VOTE, "variables": {"input": said}},
                    headers={"authorization": f"Bearer {self.resident.token}"},
                    timeout=ANSWER_SECONDS,
                )
        except TimeoutError:
            record.outcomes["cut"] += 1
            return
        except httpx2.TimeoutException:
            record.wrong.append(f"no answer in {ANSWER_SECONDS} s")
            return
        except (httpx2.TransportError, AttributeError):  # the latter where it dies as it is made: a fault of anyio's
            record.outcomes["lost"] += 1
            await asyncio.sleep(0.2)
            return
        record.seconds.append(time.monotonic() - began)
        self._judge(statement, answer)
        if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE:
            await asyncio.sleep(0.2)

    def _judge(self, statement: Statement, answer: httpx2.Response) -> None:
        body = answer.json()
        if "errors" in body:
            codes = {error["extensions"]["code"] for error in body["errors"]}
            self.record.outcomes[" ".join(sorted(codes))] += 1
            if codes != {"UNAVAILABLE"} or answer.status_code not in {200, 503}:
                self.record.wrong.append(f"{answer.status_code} {answer.text}")
            return
        payload = body["data"]["setVote"]
        if payload["errors"]:
            self.record.wrong.append(answer.text)
            return
        statement.answered = datetime.now(UTC)
        self.record.outcomes["acknowledged"] += 1
        self.record.acknowledged_at.append(time.monotonic())
        newest = statement.decided_at is None or statement.decided_at > statement.answered
        if newest and (payload["idea"]["viewerVote"] is not None) != statement.voted:
            self.record.wrong.append(f"{statement} was answered by {answer.text}")
