"""A whole demo as a process, for tests of what only shows from outside."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree


@dataclass(frozen=True)
class Demo:
    graphql: str
    websocket: str
    stream: str
    municipality: str
    tokens: dict[str, str]
    pid: int
    database_url: str
    redis_url: str
    mail: str
    folder: Path
    process: "subprocess.Popen[str]"


@contextmanager
def running_demo(*arguments: str, folder: Path | None = None, **environment: str) -> Iterator[Demo]:
    """`heitto demo` on a free port, ended when the `with` is left."""
    own = folder is None
    # Not pytest's own folder: root's PostgreSQL may run as nobody, who can't enter it.
    folder = folder or Path(tempfile.mkdtemp(prefix="heitto-demo-"))
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", "demo", "--data-dir", folder, "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HEITTO_RATE_LIMITS": "off", **environment},
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line, f"the demo ended with {process.wait(10)}"
        ready = json.loads(line)
        ready["database_url"], ready["redis_url"] = ready.pop("databaseUrl"), ready.pop("redisUrl")
        yield Demo(**ready, folder=folder, process=process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)
        if own:
            rmtree(folder, ignore_errors=True)
