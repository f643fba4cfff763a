"""One server at a time: started afresh on its core, asked for its pages, stopped."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from backend.auth.keys import SigningKeys
from backend.auth.tokens import sign_access_token
from backend.embedded.servers import Servers
from bench import stack
from bench.contenders import Contender, Json
from bench.machine import Cores, pinned

READY_SECONDS = 30.0
SETTLE_SECONDS = 2.0  # for what a server does behind its first answer: ours builds its boards in Redis
STOP_SECONDS = 20.0
POLL_SECONDS = 0.01
TOKENS_CHECKED = 40
HEAD = (
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
            session_id=uuid4(),
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
    headers = dict(line.split(": ", 1) for line in HEAD.splitlines()[2:])
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
