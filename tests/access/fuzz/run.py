"""Asks whatever the sources come up with, for a time, and holds every answer against what no answer may be."""

import asyncio
import dataclasses
import itertools
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from graphql import GraphQLError, OperationType, get_operation_ast, parse, print_ast

from backend.commands import CommandError
from backend.ids import parse_id
from backend.realtime.hub import notifications_channel
from backend.transport.limits import Limits
from tests.access.asking import Asker
from tests.access.fuzz.coverage import FIELDS, Field, asking_types, covered
from tests.access.fuzz.sources import WALKERS, Asked, Sources
from tests.access.fuzz.values import Values
from tests.access.live import BRIEFLY, PATIENCE, over_stream
from tests.access.towns import Town, Towns
from tests.test_bad_input import CODES

Json: TypeAlias = Any  # Any: what JSON holds

# High enough for whatever is made up, so that it is executed rather than measured.
NO_LIMITS = Limits(
    document_bytes=10**6,
    tokens=10**5,
    aliases=10**4,
    root_fields=100,
    root_mutations=100,
    recursion=50,
    selections=10**5,
    directives=10**4,
    depth=(60, 60),
    cost=(200_000, 200_000),
)
# What no error may say: how we are made, or what with.
TELLTALE = re.compile(
    r"Traceback|File \"|\.py\b|asyncpg|graphql\.|strawberry|starlette|redis|postgres|pgqueuer|backend[./]"
    r"|0x[0-9a-f]{6,}"
    r"|\bSELECT\b|\bINSERT\b|\bUPDATE\b|\bDELETE\b|relation \"|column \"|constraint|violates|<class|object at|NoneType"
    r"|[A-Z]\w+(?:Error|Exception)\b|_fkey|_pkey|municipality_id",
)


@dataclass
class Report:
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    covered: defaultdict[str, set[Field]] = field(default_factory=lambda: defaultdict(set))
    problems: list[str] = field(default_factory=list)

    @property
    def uncovered(self) -> list[str]:
        found = set().union(*self.covered.values())
        return [f"{type_name}.{name}" for type_name, name in sorted(FIELDS - found)]

    def lines(self) -> Iterator[str]:
        for source, number in self.asked.items():
            alone = self.covered[source] - set().union(*(o for s, o in self.covered.items() if s != source))
            yield (
                f"{source}: {number} asked, {self.answered[source]} with data,"
                f" {len(self.covered[source])} of {len(FIELDS)} fields, {len(alone)} of them alone"
            )
        yield f"codes: {dict(self.codes.most_common())}"
        yield f"without data: {self.uncovered or 'none'}"
        yield f"problems: {len(self.problems)}"
        yield from self.problems[:20]


def without_limits(app: Json) -> None:
    """Of documents; those of rates are a setting."""
    pipeline = app.state.pipeline
    pipeline.operations = dataclasses.replace(pipeline.operations, limits=NO_LIMITS)


@dataclass
class Fuzz:
    """One town's people asking; the other's words must never come back."""

    asker: Asker
    report: Report
    signed_out: set[str] = field(default_factory=set)

    async def sign_in(self) -> None:
        """Whoever was signed out, by others or by themselves, with the roles they had."""
        for actor in self.signed_out - {"anonymous"}:
            with suppress(CommandError):  # there is no such person any more
                await self.asker.town.people.sign_in(actor)
        self.signed_out.clear()

    async def ask(self, asked: Asked) -> None:
        """Sends it with the types' names added, and looks at what comes."""
        actor = WALKERS[asked.actor]
        self.report.asked[asked.source] += 1
        try:
            document = asking_types(parse(asked.text))
        except GraphQLError:  # texts that no document may hold: the server says so too
            self._judge(asked, actor, await self._answer(asked, asked.text, actor))
            return
        operation = get_operation_ast(document, asked.name)
        assert operation
        if operation.operation is OperationType.SUBSCRIPTION:
            answer = await self._first(asked, print_ast(document), actor)
        else:
            answer = await self._answer(asked, print_ast(document), actor)
        data = answer.get("data")
        if data:
            self.report.answered[asked.source] += 1
            self.report.covered[asked.source] |= set(covered(document, data))
        self._judge(asked, actor, answer)

    async def _first(self, asked: Asked, text: str, actor: str) -> Json:
        """The first event. Those of the walk must have one, so something happens meanwhile."""
        people = self.asker.town.people
        token, patience = people.tokens.get(actor, ""), PATIENCE if asked.source == "walk" else BRIEFLY
        first = asyncio.create_task(
            over_stream(
                people.api.app,
                text,
                asked.variables,
                token=token,
                slug=people.slug,
                patience=patience,
                name=asked.name,
            )
        )
        while asked.source == "walk" and not first.done():
            await asyncio.sleep(BRIEFLY)
            await people.notification(actor, self.asker.town.id("voted idea"))
            channel = notifications_channel(parse_id(self.asker.town.id("municipality"))[1])
            redis = people.api.app.state.pipeline.gate.services.redis
            await redis.publish(channel, json.dumps([str(people.ids[actor])]))
        said = await first
        self.asker.check(json.dumps(said), sent=f"{text} {asked.variables}", where=text[:200])
        return said

    async def _answer(self, asked: Asked, text: str, actor: str) -> Json:
        body = json.dumps({"query": text, "variables": asked.variables, "operationName": asked.name})
        answer = await self.asker.send(body.encode(), actor=actor)
        if answer.status_code not in {200, *CODES.values()}:
            self.report.problems.append(f"status {answer.status_code} as {actor}: {asked}: {answer.text[:300]}")
        try:
            return answer.json()
        except ValueError:
            self.report.problems.append(f"no JSON as {actor}: {asked}: {answer.text[:300]}")
            return {}

    def _judge(self, asked: Asked, actor: str, answer: Json) -> None:
        for error in answer.get("errors", ()):
            code = error.get("extensions", {}).get("code")
            self.signed_out |= {actor} if code == "UNAUTHENTICATED" else set()
            self.report.codes[str(code)] += 1
            said = TELLTALE.search(str(error.get("message")))
            if code not in CODES or (said and said[0] not in f"{asked.text}{asked.variables}"):
                self.report.problems.append(f"{code} as {actor}: {asked}: {str(error)[:300]}")
        self.report.problems += self.asker.leaks
        self.asker.leaks.clear()


async def fuzz(towns: Towns, *, seconds: float, first_seed: int = 0) -> Report:
    """The walk in each town, then rounds of what is made up, till time is up."""
    report, ends = Report(), time.monotonic() + seconds
    without_limits(towns.here.people.api.app)
    await towns.here.people.api.boards_settled()
    pairs = [_made(town, other, report) for town, other in ((towns.here, towns.there), (towns.there, towns.here))]
    for each, values, sources in pairs:
        await values.renew()
        async for asked in sources.walk(each.asker.town):
            await each.ask(asked)
            await each.sign_in()
    for round in itertools.count(first_seed):
        if round > first_seed and time.monotonic() > ends:
            break
        each, values, sources = pairs[round % 3 // 2]  # the first of them twice as often: it has more offices
        await values.renew()
        for make, number in ((sources.schemathesis, 80), (sources.own, 240)):
            # In a thread: whoever holds up the loop for seconds is told that the service is not there.
            for asked in await asyncio.to_thread(make, number, round):
                await each.ask(asked)
                await each.sign_in()
    return report


def _made(town: Town, other: Town, report: Report) -> tuple[Fuzz, Values, Sources]:
    asker = Asker(town, other)
    values = Values(asker)
    return Fuzz(asker, report), values, Sources(values)
