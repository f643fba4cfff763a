"""What municipalities run today: kerrokantasi of Helsinki (Django, REST), asked for its nearest to the board page.

It is on no package registry and needs PostGIS, which our embedded PostgreSQL hasn't; so who measures it brings a folder
with its sources and their `.venv` with gunicorn, and the URL of a database with PostGIS, empty or of a run before.
docs/performance.md tells how to make these.
"""

import asyncio
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from bench import load
from bench.machine import parent, pinned, processor_seconds, resident_megabytes
from bench.running import READY_SECONDS, Bench, Broken
from bench.workloads import Plan

CONNECTIONS = (1, 32)
_DATA = Path(__file__).parent / "peers" / "kerrokantasi" / "data.py"
_PATH = "/v1/hearing/?limit=20&format=json"
_HEAD = f"GET {_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"

Figures = dict[str, Any]  # as in the run's JSON


def measure(bench: Bench, folder: Path, database_url: str, *, seconds: int) -> list[Figures]:
    """A list of 20 hearings, anonymously, by one worker on the server's core. Raises Broken or load.LoadFailed."""
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "DATABASE_URL": database_url.replace("postgresql://", "postgis://", 1),
        "SECRET_KEY": "only for the bench, which it doesn't outlive",
        "ALLOWED_HOSTS": "*",
    }
    python = folder / ".venv" / "bin" / "python"
    print("kerrokantasi: making its tables and 200 hearings ...", flush=True)
    for command in (["migrate", "-v0"], ["shell", "-c", _DATA.read_text()]):
        made = subprocess.run(
            [python, "manage.py", *command], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise Broken(f"kerrokantasi: {made.stderr[-2000:]}")
    postgres = asyncio.run(_postmaster(database_url))
    options: list[str | Path] = ["--workers", "1", "--bind", f"127.0.0.1:{bench.port}", "--chdir", folder]
    plan = Plan(1, [_HEAD], [("", "")], good='"results":[{')
    found = []
    with _serving(bench, [python, "-m", "gunicorn", *options, "kerrokantasi.wsgi:application"], env) as server:
        load.run(plan, port=bench.port, connections=1, seconds=2, folder=bench.folder)
        for number in CONNECTIONS:
            before = processor_seconds(server), processor_seconds(postgres)
            figures = load.run(plan, port=bench.port, connections=number, seconds=seconds, folder=bench.folder)
            after = processor_seconds(server), processor_seconds(postgres)
            if not figures.total:
                raise Broken(f"kerrokantasi: no answer, or {figures.refusal}")
            costs = _each(before, after, figures.total)
            found.append(
                {
                    "server": "kerrokantasi",
                    "connections": number,
                    "rate": figures.total / figures.seconds,
                    **{name: getattr(figures, name) for name in ("p50", "p95", "p99", "longest")},
                    "server_us": costs[0],
                    "postgres_us": costs[1],
                    "resident_mb": resident_megabytes(server),
                    "wrong": figures.refusal,
                }
            )
            print(f"kerrokantasi, {number} connections: {found[-1]['rate']:,.1f}/s", flush=True)
    return found


async def _postmaster(database_url: str) -> int:
    """The process all of this server's are children of; this machine's, or its processor time is no figure."""
    conn = await asyncpg.connect(database_url)
    try:
        return parent(await conn.fetchval("SELECT pg_backend_pid()"))
    finally:
        await conn.close()


@contextmanager
def _serving(bench: Bench, command: Sequence[str | Path], env: dict[str, str]) -> Iterator[int]:
    log = bench.folder / "kerrokantasi.log"
    guard = bench.servers.supervisor.guard
    with log.open("ab") as output, pinned(bench.cores.server):
        process = guard.popen(command, env=env, stop_signal=signal.SIGTERM, output=output)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{bench.port}{_PATH}", timeout=10).close()
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Broken(f"kerrokantasi: {error}\n{log.read_text()[-2000:]}") from error
                time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait()
        guard.forget(process.pid)


def _each(before: Sequence[float | None], after: Sequence[float | None], requests: int) -> list[float | None]:
    pairs = zip(before, after, strict=True)
    return [None if a is None or b is None else (b - a) / requests * 1e6 for a, b in pairs]
