"""One measurement: a server loaded for a while, what it cost, and its votes recounted."""

import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID

from bench import load, stack
from bench.contenders import Contender
from bench.machine import processor_seconds, resident_megabytes
from bench.running import HEAD, Bench, page, running, sign_tokens
from bench.voting import Voting, voting
from bench.workloads import Plan, Workload

SHOW_SECONDS = 1.2  # within a second a page shows the votes that were answered, and a little for the way
VOTING_LANES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`wrong` says what was refused or miscounted; `…_us` is processor time a request, None where it can't be read.

    Latencies are milliseconds. `started` is seconds from the process's start to its first page. `beside` is votes a
    second that landed meanwhile, and `beside_p99` how long they took.
    """

    rate: float
    p50: float
    p95: float
    p99: float
    longest: float
    wrong: str
    server_us: float | None
    postgres_us: float | None
    redis_us: float | None
    load_us: float | None
    resident_mb: float | None
    started: float
    beside: float | None
    beside_p99: float | None


def measure(
    bench: Bench, contender: Contender, workload: Workload, connections: Sequence[int], *, seconds: int, warmup: int
) -> list[Result]:
    """One start of the server, a result for each number of connections. Raises Broken or load.LoadFailed."""
    before = stack.reset(bench.data)
    callers = range(len(bench.tokens))
    # Votes of the warm-up are of other residents, so that those measured start from nothing.
    warm, measured = (
        ([i for i in callers if i % 4 == 0], [i for i in callers if i % 4]) if workload.ideas else (callers, callers)
    )
    votes: list[stack.Votes] = []
    found: list[Result] = []

    def load_it(who: Sequence[int], number: int, seconds: int) -> load.Figures:
        plan = plan_for(bench, contender, workload, who, connections=number)
        figures = load.run(plan, port=bench.port, connections=number, seconds=seconds, folder=bench.folder)
        residents = [bench.data.residents[i] for i in who]
        if workload.ideas:
            votes.append(stack.Votes(plan, figures.answered, residents, bench.data.ideas[: workload.ideas]))
        if figures.refused:
            wrong.append(f"{figures.refused} refused: {figures.refusal}")
        return figures

    wrong: list[str] = []
    with running(bench, contender) as server, _votes_beside(bench, contender, workload, votes, wrong) as beside:
        load_it(warm, max(connections), warmup)
        for number in connections:
            costs, since = _processors(bench, server.process.pid), time.perf_counter()
            figures = load_it(measured, number, seconds)
            until = time.perf_counter()
            took = beside.between(since, until) if beside else []
            found.append(
                Result(
                    rate=figures.total / figures.seconds,
                    p50=figures.p50,
                    p95=figures.p95,
                    p99=figures.p99,
                    longest=figures.longest,
                    wrong="",
                    **{
                        f"{name}_us": _per_request(now, costs[name], max(figures.total, 1))
                        for name, now in _processors(bench, server.process.pid).items()
                    },
                    load_us=figures.processor / max(figures.total, 1) * 1e6,
                    resident_mb=resident_megabytes(server.process.pid),
                    started=server.started,
                    beside=len(took) / (until - since) if beside else None,
                    beside_p99=load.percentiles(took)["p99"] if beside else None,
                )
            )
        if beside:
            beside.stop()
            wrong += _stale(bench, contender)
    if votes and not wrong and (miscounted := stack.recount(bench.data, before=before, votes=votes)):
        wrong.append(miscounted)
    return [replace(result, wrong=wrong[0] if wrong else "") for result in found]


@contextmanager
def _votes_beside(
    bench: Bench, contender: Contender, workload: Workload, votes: list[stack.Votes], wrong: list[str]
) -> Iterator[Voting | None]:
    """Where the workload wants it, the voters vote for the ideas of the board's first page until told to stop."""
    if not workload.beside:
        yield None
        return
    heads = [_signed_in(token) for token in sign_tokens(bench.keys, bench.data.voters)]
    plan = Plan(VOTING_LANES, heads, _vote_bodies(contender, bench.data.top))
    with voting(plan, port=bench.port, rate=workload.beside) as beside:
        yield beside
    votes.append(stack.Votes(plan, beside.answered, bench.data.voters, bench.data.top))
    wrong += beside.refusals[:1]


def _stale(bench: Bench, contender: Contender) -> list[str]:
    """Whether the public page doesn't show the votes that were answered before."""
    time.sleep(SHOW_SECONDS)
    shown = [row["voteCount"] for row in contender.content(json.loads(page(bench, contender))["data"])]
    expected = stack.top_counts(bench.data)
    return [] if shown == expected else [f"the page shows {shown} votes, PostgreSQL {expected}"]


def median(results: list[Result]) -> Result:
    """Of each figure on its own; `wrong` is the first there is."""

    def middle(name: str) -> float | None:
        values = [value for result in results if (value := getattr(result, name)) is not None]
        return statistics.median(values) if values else None

    wrong = next((result.wrong for result in results if result.wrong), "")
    numbers = {name: middle(name) for name in Result.__slots__ if name != "wrong"}
    return Result(wrong=wrong, **numbers)  # type: ignore[arg-type] # those that can't be None never are


def plan_for(
    bench: Bench, contender: Contender, workload: Workload, callers: Sequence[int], *, connections: int
) -> Plan:
    if workload.signed_in:
        heads = [_signed_in(bench.tokens[i]) for i in callers]
    else:
        heads = [f"{HEAD}X-Forwarded-For: 10.0.{i >> 8}.{i & 255}\r\n" for i in callers] if bench.limited else [HEAD]
    lanes = workload.lanes(connections)
    if workload.ideas:
        return Plan(lanes, heads, _vote_bodies(contender, bench.data.ideas[: workload.ideas]))
    body = contender.page_body(signed_in=workload.signed_in)
    return Plan(lanes, heads, [(body, body)])


def _signed_in(token: str) -> str:
    return f"{HEAD}Authorization: Bearer {token}\r\n"


def _vote_bodies(contender: Contender, ideas: Sequence[UUID]) -> list[tuple[str, str]]:
    return [(contender.vote_body(idea, True), contender.vote_body(idea, False)) for idea in ideas]


def _processors(bench: Bench, server: int) -> Mapping[str, float | None]:
    postgres, valkey = bench.servers.postgres, bench.servers.valkey
    return {
        "server": processor_seconds(server),
        "postgres": processor_seconds(postgres.pid) if postgres else None,
        "redis": processor_seconds(valkey.pid) if valkey else None,
    }


def _per_request(now: float | None, before: float | None, requests: int) -> float | None:
    return None if now is None or before is None else (now - before) / requests * 1e6
