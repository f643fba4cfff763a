"""Starts processes that can't outlive this one, however it ends."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from backend.embedded.folder import DataFolder

# The child itself tells the watchdog its pid, and holds the pipe open until it has: there is no moment in which a kill
# of the parent leaves a child that nobody knows.
_REGISTER = 'echo "$$ $1" >&0; shift; exec "$@" </dev/null'


class Guard:
    """A watchdog process (`watchdog.py`) and the pipe that tells it what to end. Safe to use from several threads."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._known: dict[int, int] = {}
        self._closing = False
        self._lock = threading.Lock()  # of _known, and of what the watchdog is told of it
        self._read, self._write = os.pipe()
        self._watchdog = self._start_watchdog()
        self._thread = threading.Thread(target=self._keep_watchdog, name="watchdog", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Ends what still runs, and returns when it has ended."""
        self._closing = True
        os.close(self._write)
        self._thread.join()
        os.close(self._read)

    def popen(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        stop_signal: int,
        output: IO[bytes] | int,
    ) -> subprocess.Popen[bytes]:
        """Start `command` in a session of its own, with nothing to read. After its end, call `forget`.

        `stop_signal` goes to its process group when this process dies; what hasn't ended a second later is killed.
        """
        with self._lock:
            process = subprocess.Popen(  # noqa: S603 # commands are ours, never a caller's input
                ["/bin/sh", "-c", _REGISTER, "sh", str(int(stop_signal)), *command],
                stdin=self._write,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
            )
            self._known[process.pid] = int(stop_signal)
        return process

    def forget(self, pid: int) -> None:
        """The process has ended: its number may soon be somebody else's."""
        with self._lock:
            self._known.pop(pid, None)
            self._tell(pid, 0)

    def _tell(self, pid: int, sign: int) -> None:
        os.write(self._write, b"%d %d\n" % (pid, sign))

    def _start_watchdog(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 # our own file
            # A bare file name: its command line doesn't say "backend", so `pkill -9 -f backend` leaves it to its work.
            [sys.executable, "-I", "watchdog.py", self._folder.mark],
            cwd=Path(__file__).parent,
            stdin=self._read,
            stdout=subprocess.DEVNULL,
            pass_fds=[self._folder.lock],  # the folder stays locked until the watchdog is done
            start_new_session=True,
        )

    def _keep_watchdog(self) -> None:
        while self._watchdog.wait() is not None and not self._closing:
            with self._lock:
                for pid, sign in self._known.items():  # before it starts: this process may be killed right after
                    self._tell(pid, sign)
                self._watchdog = self._start_watchdog()
