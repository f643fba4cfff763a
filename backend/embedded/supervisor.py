"""Keeps programs running: starts them again when they die, ends them in order."""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import BinaryIO, NoReturn, Self

from backend.embedded.folder import DataFolder, EmbeddedError
from backend.embedded.guard import Guard
from backend.embedded.watchdog import signal_group

_log = logging.getLogger(__name__)
_LOG_LIMIT = 5_000_000  # bytes; a longer log makes room at the next start, and one old file is kept
_QUICK = 1.0  # seconds; what dies sooner than this waits longer and longer, up to as long
_STDERR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A command to keep running.

    `log` takes its output (without one it goes to our stderr). `ready` is asked with the pid until it says yes.
    `sweep` removes what a dead process left and the next would stumble over. `grace` is in seconds.
    """

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str]
    log: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 15.0
    ready: Callable[[int], bool] = lambda _pid: True
    sweep: Callable[[], None] = lambda: None


class Child:
    """A program that is kept running by a thread of its own, until `stop`."""

    def __init__(self, program: Program, guard: Guard) -> None:
        self.program = program
        self.deaths = 0
        self._guard = guard
        self._ending = threading.Event()
        self._starting = threading.Lock()
        self._process = self._launch()
        self._thread = threading.Thread(target=self._keep, name=program.name, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the newest process."""
        return self._process.pid

    def wait_ready(self, timeout: float) -> None:
        """Raises EmbeddedError when it dies on the way, or `timeout` seconds have passed."""
        deadline = time.monotonic() + timeout
        while not self.program.ready(self.pid):
            if self.deaths or time.monotonic() > deadline:
                why = "ended" if self.deaths else f"isn't ready after {timeout:.0f} s"
                raise EmbeddedError(f"{self.program.name} {why}: {self._last_words()}")
            time.sleep(0.01)

    def ask_to_end(self) -> None:
        with self._starting:
            self._ending.set()
            self._process.send_signal(self.program.stop_signal)

    def end(self) -> None:
        """Wait for what `ask_to_end` began; past the grace, kill."""
        self._thread.join(self.program.grace)
        if self._thread.is_alive():
            _log.warning("%s didn't end within %.0f s: killed", self.program.name, self.program.grace)
            self._process.kill()
            self._thread.join()

    def _keep(self) -> None:
        quick_deaths = 0
        while True:
            started = time.monotonic()
            status = self._process.wait()
            signal_group(self.pid, signal.SIGKILL)  # its own children, where they are left
            self._guard.forget(self.pid)
            if self._ending.is_set():
                self.program.sweep()
                return
            self.deaths += 1
            quick_deaths = quick_deaths + 1 if time.monotonic() - started < _QUICK else 0
            pause = min(0.05 * 2**quick_deaths, _QUICK)
            _log.warning("%s ended with status %d: starting it again in %.2f s", self.program.name, status, pause)
            while not self._started_again(pause):
                if self._ending.is_set():
                    return

    def _started_again(self, pause: float) -> bool:
        if self._ending.wait(pause):
            return False
        with self._starting:
            if self._ending.is_set():
                return False
            try:
                self._process = self._launch()
            except OSError as error:  # no memory, no space: that may pass
                _log.error("%s can't be started: %s", self.program.name, error)
                return False
            return True

    def _launch(self) -> subprocess.Popen[bytes]:
        program = self.program
        program.sweep()
        with _open_log(program.log) if program.log else nullcontext(_STDERR) as output:
            return self._guard.popen(program.command, env=program.env, stop_signal=program.stop_signal, output=output)

    def _last_words(self) -> str:
        if self.program.log is None:
            return "its output is above"
        last = self.program.log.read_text(errors="replace").strip().rpartition("\n")[2]
        return f"{last} (see {self.program.log})"


class Supervisor:
    """Programs in the order they were started. Leaving the `with` ends them, the last started first."""

    def __init__(self, folder: DataFolder) -> None:
        self.guard = Guard(folder)
        self._stages: list[list[Child]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self.guard:
            for stage in reversed(self._stages):
                for child in stage:
                    child.ask_to_end()
                for child in stage:
                    child.end()

    def start(self, *programs: Program, timeout: float = 60.0) -> list[Child]:
        """Start them side by side, and return when all are ready; they are ended side by side too.

        Raises EmbeddedError with the last line of a program's log when it doesn't become ready in `timeout` seconds.
        """
        stage: list[Child] = []
        self._stages.append(stage)
        stage.extend(Child(program, self.guard) for program in programs)
        for child in stage:
            child.wait_ready(timeout)
        return stage


def exit_on_signals() -> None:
    """From now on the first SIGTERM, SIGINT or SIGHUP raises SystemExit(0) here, so that every `with` is left.

    Further ones change nothing: the graces bound how long that takes. For the main thread of a command.
    """

    def leave(_number: int, _frame: FrameType | None) -> None:
        for each in signals:  # not SIG_IGN, which a process started now would inherit
            signal.signal(each, lambda _number, _frame: None)
        raise SystemExit(0)

    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for each in signals:
        if signal.getsignal(each) != signal.SIG_IGN:  # nohup, or a script's background job
            signal.signal(each, leave)


def run_until_signal() -> NoReturn:
    """Sleep until `exit_on_signals` has its day."""
    exit_on_signals()
    while True:
        signal.pause()


def _open_log(log: Path) -> BinaryIO:
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")
