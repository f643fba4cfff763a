"""One measurement: a server started afresh on its core, warmed up, loaded, stopped, and its votes recounted."""

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from backend.auth.keys import SigningKeys
from backend.auth.tokens import sign_access_token
from backend.embedded.servers import Servers
from bench import load, stack
from bench.contenders import Contender, Json
from bench.machine import Cores, pinned, processor_seconds, resident_megabytes
from bench.workloads import Plan, Workload

READY_SECONDS = 30.0
SETTLE_SECONDS = 2.0  # for what a server does behind its first answer: ours builds its boards in Redis
STOP_SECONDS = 20.0
_HEAD = (
    "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "Accept: application/json\r\nAccept-Language: en\r\n"
)


class Broken(Exception):
    """A server that doesn't start, or answers another page than the others."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements of a run share. `folder` is temporary, `port` the one that servers take in turn."""

    servers: Servers
    data: stack.Data
    tokens: list[str]
    cores: Cores
    folder: Path
    port: int


@dataclass(frozen=True, slots=True)
class Result:
    """`wrong` says what was refused or miscounted; `…_us` is processor time a request, None where it can't be read."""

    rate: float
    p50: float
    p99: float
    wrong: str
    server_us: float | None
    postgres_us: float | None
    redis_us: float | None
    resident_mb: float | None


def sign_tokens(keys: SigningKeys, residents: list[UUID]) -> list[str]:
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
def running(bench: Bench, contender: Contender) -> Iterator[subprocess.Popen[bytes]]:
    """Raises Broken when it doesn't answer the page in time."""
    if _listening(bench.port):
        raise Broken(f"{contender.title}: its port is still taken by the server before it")
    log = bench.folder / f"{contender.name}.log"
    guard = bench.servers.supervisor.guard
    with log.open("ab") as output, pinned(bench.cores.server):
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
                time.sleep(0.05)
        time.sleep(SETTLE_SECONDS)
        yield process
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


def page(bench: Bench, contender: Contender, *, signed_in: bool = False) -> bytes:
    """The board page's answer. Raises Broken where it is refused."""
    connection = http.client.HTTPConnection("127.0.0.1", bench.port, timeout=5)
    headers = dict(line.split(": ", 1) for line in _HEAD.splitlines()[2:])
    if signed_in:
        headers["Authorization"] = f"Bearer {bench.tokens[4]}"
    try:
        connection.request("POST", "/graphql", contender.page_body(signed_in=signed_in), headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200 or b'"errors":[{' in body:
        raise Broken(f"{answer.status} {body[:500]!r}")
    return body


def content(contender: Contender, body: bytes) -> list[Json]:
    return contender.content(json.loads(body)["data"])


def measure(bench: Bench, contender: Contender, workload: Workload, *, seconds: int, warmup: int) -> Result:
    """Raises Broken or load.LoadFailed."""
    before = stack.reset(bench.data)
    callers = range(len(bench.tokens)) if workload.signed_in else range(1)
    # Votes of the warm-up are of other residents, so that those measured start from nothing.
    warm, measured = (
        ([i for i in callers if i % 4 == 0], [i for i in callers if i % 4]) if workload.ideas else (callers,) * 2
    )
    runs = []
    with running(bench, contender) as process:
        plan = plan_for(bench, contender, workload, warm)
        runs.append((plan, load.run(plan, port=bench.port, seconds=warmup, folder=bench.folder), warm))
        plan = plan_for(bench, contender, workload, measured)
        costs = _processors(bench, process.pid)
        figures = load.run(plan, port=bench.port, seconds=seconds, folder=bench.folder)
        costs = {
            name: _per_request(now, costs[name], max(figures.total, 1))
            for name, now in _processors(bench, process.pid).items()
        }
        runs.append((plan, figures, measured))
        resident = resident_megabytes(process.pid)
    refused = [done for _, done, _ in runs if done.refused]
    wrong = f"{refused[0].refused} refused: {refused[0].refusal}" if refused else ""
    if workload.ideas and not wrong:
        ideas = bench.data.ideas[: workload.ideas]
        wrong = stack.recount(
            bench.data,
            before=before,
            runs=[(plan, done.answered, [bench.data.residents[i] for i in who], ideas) for plan, done, who in runs],
        )
    return Result(
        figures.total / figures.seconds,
        figures.p50,
        figures.p99,
        wrong,
        costs["server"],
        costs["postgres"],
        costs["redis"],
        resident,
    )


def median(results: list[Result]) -> Result:
    """Of each figure on its own; `wrong` is the first there is."""

    def middle(name: str) -> float | None:
        values = [value for result in results if (value := getattr(result, name)) is not None]
        return statistics.median(values) if values else None

    wrong = next((result.wrong for result in results if result.wrong), "")
    numbers = {name: middle(name) for name in Result.__slots__ if name != "wrong"}
    return Result(wrong=wrong, **numbers)  # type: ignore[arg-type] # rate, p50 and p99 are never None


def plan_for(bench: Bench, contender: Contender, workload: Workload, callers: range | list[int]) -> Plan:
    heads = [f"{_HEAD}Authorization: Bearer {bench.tokens[i]}\r\n" if workload.signed_in else _HEAD for i in callers]
    if not workload.ideas:
        body = contender.page_body(signed_in=workload.signed_in)
        return Plan(workload.lanes, heads, [(body, body)])
    ideas = bench.data.ideas[: workload.ideas]
    bodies = [(contender.vote_body(idea, True), contender.vote_body(idea, False)) for idea in ideas]
    return Plan(workload.lanes, heads, bodies)


def _processors(bench: Bench, server: int) -> Mapping[str, float | None]:
    postgres, valkey = bench.servers.postgres, bench.servers.valkey
    return {
        "server": processor_seconds(server),
        "postgres": processor_seconds(postgres.pid) if postgres else None,
        "redis": processor_seconds(valkey.pid) if valkey else None,
    }


def _per_request(now: float | None, before: float | None, requests: int) -> float | None:
    return None if now is None or before is None else (now - before) / requests * 1e6
