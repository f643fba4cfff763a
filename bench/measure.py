"""One measurement: a server started afresh on its core, warmed up, loaded, stopped, and its votes recounted."""

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from backend.auth.keys import SigningKeys
from backend.auth.tokens import sign_access_token
from backend.embedded.servers import Servers
from bench import load, stack
from bench.contenders import Contender, Json
from bench.machine import Cores, pinned, processor_seconds, resident_megabytes
from bench.voting import Voting, voting
from bench.workloads import Plan, Workload

READY_SECONDS = 30.0
SETTLE_SECONDS = 2.0  # for what a server does behind its first answer: ours builds its boards in Redis
STOP_SECONDS = 20.0
POLL_SECONDS = 0.01
SHOW_SECONDS = 1.2  # within a second a page shows the votes that were answered, and a little for the way
TOKENS_CHECKED = 40
VOTING_LANES = 20
_HEAD = (
    "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "Accept: application/json\r\nAccept-Language: en\r\n"
)


class Broken(Exception):
    """A server that doesn't start, or answers another page than the others."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements of a run share. `folder` is temporary, `port` the one that servers take in turn.

    `limited` says that our server limits rates: its public callers then come from as many networks as there are
    residents, so that limits are judged and none is reached.
    """

    servers: Servers
    data: stack.Data
    keys: SigningKeys
    tokens: list[str]
    cores: Cores
    folder: Path
    port: int
    limited: bool


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


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[bytes]
    started: float


def sign_tokens(keys: SigningKeys, residents: Sequence[UUID]) -> list[str]:
    now = datetime.now(UTC)
    return [
        sign_access_token(
            keys,
            issuer="heitto",
            resident_id=resident,
            municipality="bench",
            roles=["RESIDENT"],
            strength="DEVICE",
            now=now,
            ttl=86_400,
        )[0]
        for resident in residents
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(bench: Bench, contender: Contender) -> Iterator[Running]:
    """Raises Broken when it doesn't answer the page in time."""
    if _listening(bench.port):
        raise Broken(f"{contender.title}: its port is still taken by the server before it")
    log = bench.folder / f"{contender.name}.log"
    guard = bench.servers.supervisor.guard
    began = time.monotonic()
    with log.open("ab") as output, pinned(bench.cores.of(contender.workers)):
        process = guard.popen(contender.command, env=contender.env, stop_signal=signal.SIGTERM, output=output)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                page(bench, contender)
                break
            except (OSError, Broken, http.client.HTTPException) as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Broken(f"{contender.title}: {error}\n{log.read_text()[-2000:]}") from error
                time.sleep(POLL_SECONDS)
        started = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        yield Running(process, started)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):  # its workers, where they outlived it, would answer for the next server
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        guard.forget(process.pid)


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def page(bench: Bench, contender: Contender, *, token: str = "") -> bytes:
    """The board page's answer. Raises Broken where it is refused."""
    connection = http.client.HTTPConnection("127.0.0.1", bench.port, timeout=5)
    headers = dict(line.split(": ", 1) for line in _HEAD.splitlines()[2:])
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("POST", "/graphql", contender.page_body(signed_in=bool(token)), headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200 or b'"errors":[{' in body:
        raise Broken(f"{answer.status} {body[:500]!r}")
    return body


def pages(bench: Bench, contender: Contender) -> list[list[Json]]:
    """What the server shows: the public page, then those of some residents. Raises Broken."""
    tokens = ["", *bench.tokens[:TOKENS_CHECKED]]
    return [contender.content(json.loads(page(bench, contender, token=token))["data"]) for token in tokens]


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
        heads = [f"{_HEAD}X-Forwarded-For: 10.0.{i >> 8}.{i & 255}\r\n" for i in callers] if bench.limited else [_HEAD]
    lanes = workload.lanes(connections)
    if workload.ideas:
        return Plan(lanes, heads, _vote_bodies(contender, bench.data.ideas[: workload.ideas]))
    body = contender.page_body(signed_in=workload.signed_in)
    return Plan(lanes, heads, [(body, body)])


def _signed_in(token: str) -> str:
    return f"{_HEAD}Authorization: Bearer {token}\r\n"


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
