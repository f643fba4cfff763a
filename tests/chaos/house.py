"""A demo of its own for a test to break: real processes, found by what they are and killed by their number."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import orjson
import psutil  # type: ignore[import-untyped] # has no stubs

from backend.auth.keys import load_signing_keys
from backend.auth.tokens import verify_access_token
from backend.commands import connect, mint_tokens
from backend.demo.load import SLUG
from backend.embedded.folder import signing_key_file
from backend.settings import load_settings

ROOT = Path(__file__).parents[2]
Process = Any  # Any: psutil has no stubs


@dataclass(frozen=True, slots=True)
class Resident:
    id: UUID
    token: str
    strength: str


@dataclass(frozen=True, slots=True)
class House:
    """`url` is of GraphQL."""

    folder: Path
    pid: int
    url: str
    database_url: str
    redis_url: str
    log: Path

    def part(self, kind: str) -> Process | None:
        """The newest process of a kind: web, worker, postgres or redis; None while there is none."""
        names = {"postgres": "postgres", "redis": "valkey-server"}
        for process in psutil.Process(self.pid).children():
            try:
                if kind in names and process.name() == names[kind]:
                    return process
                if kind not in names and process.cmdline()[-1:] == [{"web": "serve"}.get(kind, kind)]:
                    return process
            except psutil.Error:
                continue
        return None

    def kill(self, kind: str, choice: int) -> bool:
        """`kill -9`. `web` is one of the server's workers, `choice` says which; `web parent` is the server itself."""
        process = self.part(kind.split(maxsplit=1)[0])
        if kind == "web" and process:
            workers = process.children()
            process = workers[choice % len(workers)] if workers else None
        try:
            if process:
                process.send_signal(signal.SIGKILL)
        except psutil.Error:
            return False
        return process is not None

    async def ready(self, client: httpx2.AsyncClient, *, seconds: float) -> float:
        """Waits until everything answers, and says how long that took. Raises AssertionError after `seconds`."""
        began, answer = time.monotonic(), ""
        while time.monotonic() < began + seconds:
            try:
                answer = (await client.get(self.url.replace("/graphql", "/readyz"))).text
                if '"status":"ok"' in answer:
                    return time.monotonic() - began
            except (httpx2.HTTPError, AttributeError) as error:
                answer = repr(error)
            await asyncio.sleep(0.05)
        raise AssertionError(f"not ready after {seconds} s: {answer}")

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        return await connect(self.database_url)

    async def residents(self, count: int) -> list[Resident]:
        """New ones, a third of each strength."""
        key_file = signing_key_file(self.folder)
        settings = load_settings(database_url=self.database_url, signing_key_file=key_file)
        keys, made = load_signing_keys(key_file), []
        for strength in ("DEVICE", "EMAIL", "STRONG"):
            tokens = await mint_tokens(
                settings,
                slug=SLUG,
                role="RESIDENT",
                strength=strength,
                count=count // 3,
                resident="",
                department="",
                ttl=3600,
            )
            for token in tokens:
                claims = verify_access_token(keys, token, issuer=settings.token_issuer)
                made.append(Resident(claims.resident_id, token, strength))
        return made


@contextmanager
def scratch() -> Iterator[Path]:
    # Not pytest's own folder: root's PostgreSQL may run as nobody, who can't enter it.
    folder = Path(tempfile.mkdtemp(prefix="heitto-chaos-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(**changes: str) -> dict[str, str]:
    """Ours without its settings of Heitto, and with some."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEITTO_")}
    return {**kept, "HEITTO_RATE_LIMITS": "off", **changes}


@contextmanager
def demo(folder: Path, **settings: str) -> Iterator[House]:
    """The demo with two web workers, durable, on a free port."""
    log = folder.with_suffix(".log")
    command = [sys.executable, "-m", "backend", "demo", "--data-dir", str(folder), "--port", "0", "--workers", "2"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--json"], cwd=ROOT, env=environment(**settings), stdout=subprocess.PIPE, stderr=output
        )
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert line, log.read_text()
        said = orjson.loads(line)
        yield House(folder, process.pid, said["graphql"], said["databaseUrl"], said["redisUrl"], log)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
        log.unlink()


@contextmanager
def another_server(house: House, log: Path, **settings: str) -> Iterator[str]:
    """Another web server of two workers on the same databases; the URL of its GraphQL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "backend", "serve", "--data-dir", str(house.folder)]
    chosen = environment(HEITTO_PORT=str(port), HEITTO_WORKERS="2", HEITTO_LOG_LEVEL="warning", **settings)
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=chosen, stdout=output, stderr=output)
    try:
        yield f"http://127.0.0.1:{port}/graphql"
    finally:
        process.terminate()
        process.wait()
