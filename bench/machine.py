"""What the numbers were measured on, and what a server costs there: cores, processor time, memory. Read from /proc."""

import os
import platform
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cores:
    """Where a server of one worker runs, where one of two does, and everything else. All None where a process can't
    be pinned. With two cores, two workers share theirs with the load."""

    server: frozenset[int] | None
    pair: frozenset[int] | None
    others: frozenset[int] | None

    @property
    def apart(self) -> bool:
        """Whether two workers have cores to themselves."""
        return self.pair is not None and self.others is not None and not self.pair & self.others

    def of(self, workers: int) -> frozenset[int] | None:
        return self.server if workers == 1 else self.pair


def choose_cores() -> Cores:
    if not hasattr(os, "sched_setaffinity"):
        return Cores(None, None, None)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        return Cores(None, None, None)
    return Cores(frozenset(cores[:1]), frozenset(cores[:2]), frozenset(cores[2:3] or cores[1:2]))


@contextmanager
def pinned(cores: Collection[int] | None) -> Iterator[None]:
    """What is started inside stays on these cores, with all of its threads and children."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def processor_seconds(root: int) -> float | None:
    """Processor time of a process and all its descendants, those that have ended too. None without /proc."""
    if not _PROC.is_dir():
        return None
    stats = _stats()
    # utime, stime, and the same of waited-for children: fields 14 to 17 of proc_pid_stat(5), 11 to 14 after the name.
    ticks = sum(int(ticks) for pid in _tree(root, stats) for ticks in stats[pid][11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_megabytes(root: int) -> float | None:
    """Largest proportional set size in a process and its descendants: that of the worker. None without /proc."""
    if not _PROC.is_dir():
        return None
    return max(_proportional_kibibytes(pid) for pid in _tree(root, _stats())) * 1024 / 1e6


def parent(pid: int) -> int:
    """The process that started another; 0 without /proc, or where there is no such process here."""
    return int(_stats()[pid][1]) if _PROC.is_dir() and (_PROC / str(pid)).exists() else 0


def describe(cores: Cores) -> dict[str, object]:
    """Names neither the machine nor a path: results may be published."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "pinned": cores.server is not None,
        "two workers apart from the load": cores.apart,
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        **{
            name: version(name)
            for name in ("granian", "uvloop", "starlette", "asyncpg", "graphql-core", "strawberry-graphql")
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _stats() -> dict[int, list[str]]:
    """Fields of every process after its name, which alone may hold spaces."""
    found = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                found[int(entry.name)] = (entry / "stat").read_text().rpartition(") ")[2].split()
            except OSError:  # it has ended meanwhile
                continue
    return found


def _tree(root: int, stats: dict[int, list[str]]) -> set[int]:
    tree, found = set(), {root} & stats.keys()
    while found:
        tree |= found
        found = {pid for pid, fields in stats.items() if int(fields[1]) in found}
    return tree


def _proportional_kibibytes(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
