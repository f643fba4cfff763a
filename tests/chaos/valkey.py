"""A Valkey that a test may stop, take the data of, and give back older ones."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backend.embedded.folder import claim
from backend.embedded.supervisor import Program
from backend.embedded.valkey import valkey, valkey_url


@dataclass(slots=True)
class Valkey:
    url: str
    data: Path
    program: Program
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        assert self.program.log
        with self.program.log.open("ab") as output:
            self.process = subprocess.Popen(self.program.command, env=self.program.env, stdout=output, stderr=output)
        while not self.program.ready(self.process.pid):
            assert self.process.poll() is None, self.program.log.read_text()

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def take(self, copy: Path) -> None:
        """What it has on disk now."""
        shutil.copytree(self.data, copy)

    def give(self, copy: Path) -> None:
        """Stops it and starts it with what was taken earlier."""
        self.stop()
        shutil.rmtree(self.data)
        shutil.copytree(copy, self.data)
        self.start()


@contextmanager
def running_valkey(folder: Path) -> Iterator[Valkey]:
    """With an append-only file, as the demo runs it."""
    with claim(folder) as claimed:
        server = Valkey(valkey_url(claimed), folder / "valkey", valkey(claimed, durable=True))
        server.start()
        try:
            yield server
        finally:
            server.stop()
