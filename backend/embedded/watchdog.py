"""The process that stays when a demo is killed, and ends what the demo started. Run as a script, see `guard.py`.

It reads lines `<pid> <signal>` ("this group ends by that signal"; signal 0: "it has ended") from a pipe whose other
end only the demo holds. The pipe's end is therefore the demo's end, on Linux and macOS alike. PR_SET_PDEATHSIG was
rejected: Linux only, tied to the thread that started the child, and blind to grandchildren.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

_GRACE = 1.0  # seconds from the polite signal to SIGKILL; shorter than a person waits before starting again
_LAST_WAIT = 5.0  # seconds for the kernel to end what was killed


def end_servers(mark: str, names: Iterable[str] = ("postgres", "valkey-server")) -> None:
    """Kill the servers whose command line or title carries `mark`.

    A backend of PostgreSQL has a session of its own and notices its postmaster's death only between two statements, so
    no process group reaches it.
    """
    import psutil  # type: ignore[import-untyped] # has no stubs; used in these lines only

    found = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] in names and mark in " ".join(process.info["cmdline"] or ())
    ]
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()

    def running(process: psutil.Process) -> bool:
        try:
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    deadline = time.monotonic() + _LAST_WAIT
    while any(map(running, found)) and time.monotonic() < deadline:
        time.sleep(0.005)


def signal_group(pid: int, sign: int) -> bool:
    """Whether the group was there."""
    try:
        os.killpg(pid, sign)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return False
    return True


def watch(mark: str) -> None:
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)
    groups: dict[int, int] = {}
    for line in sys.stdin:
        pid, sign_number = map(int, line.split())
        if sign_number:
            groups[pid] = sign_number
        else:
            groups.pop(pid, None)
    if not groups:
        return
    for pid, sign_number in groups.items():
        signal_group(pid, sign_number)
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline and any(signal_group(pid, 0) for pid in groups):
        time.sleep(0.02)
    for pid in groups:
        signal_group(pid, signal.SIGKILL)
    end_servers(mark)


if __name__ == "__main__":
    watch(sys.argv[1])
