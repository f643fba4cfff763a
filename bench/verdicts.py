"""What the speed of this backend has to be, held against a run."""

import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bench.report import Run, of

Middle = Run  # the median of a case
Ratio = Callable[[Middle, Middle], float]

START_SECONDS = 1.5
WORKER_MB = 120.0
VOTE_P99_MS = 100.0


class Verdict(NamedTuple):
    """`met` is None where this run can't tell."""

    demand: str
    measured: str
    met: bool | None


def judge(run: Run) -> Iterator[Verdict]:
    """In the order of the demands; those about a server or a workload that wasn't there say so."""
    for key, title in (("W1", "public board page"), ("W1v", "the same with 200 votes/s landing on it")):
        yield _against(run, key, "mercurius", f"{title}: at least 3 times Mercurius", _rate, at_least=3.0)
        yield _against(
            run, key, "mercurius-cache", f"{title}: faster than Mercurius with its cache", _rate, at_least=1.0
        )
        yield _against(run, key, "bare", f"{title}: at least 0.35 of the bare route", _rate, at_least=0.35, other="W1")
    yield _against(run, "W2", "mercurius", "signed-in page: at least Mercurius", _rate, at_least=1.0)
    yield _against(run, "W2", "postgraphile", "signed-in page: at least 1.5 times PostGraphile", _rate, at_least=1.5)
    yield _against(run, "W2", "mercurius", "signed-in page: no more processor time than Mercurius", _cost, at_most=1.0)
    yield _against(run, "W3", "mercurius", "votes over 200 ideas: at least 1.5 times Mercurius", _rate, at_least=1.5)
    yield _against(run, "W4", "mercurius", "votes on one idea: at least 4 times Mercurius", _rate, at_least=4.0)
    for key, title in (("W3", "votes over 200 ideas"), ("W4", "votes on one idea")):
        slowest = {number: mine["p99"] for number, mine in _ours(run, key)}
        yield _verdict(f"{title}: p99 below {VOTE_P99_MS:.0f} ms", slowest, lambda ms: ms < VOTE_P99_MS, "{:.1f} ms")
    apart = run["machine"].get("two workers apart from the load")
    pairs = _against(
        run, "W1", "heitto", "two workers, public page: at least 1.6 times one", _rate, at_least=1.6, mine="heitto-2"
    )
    yield pairs if apart else pairs._replace(met=None, measured=f"{pairs.measured} (the load has part of their cores)")
    for key in ("W1", "W2", "W3", "W4"):
        demand = f"two workers, {key}: at most 1.1 times the processor time of one"
        yield _against(run, key, "heitto", demand, _cost, at_most=1.1, mine="heitto-2")
    rounds = [result for figure in run["results"] if figure["server"] == "heitto" for result in figure["rounds"]]
    started = [result["started"] for result in rounds]
    memory = [result["resident_mb"] for result in rounds if result["resident_mb"] is not None]
    yield _verdict(
        f"process start to first page: under {START_SECONDS} s, median of all starts",
        {0: statistics.median(started)} if started else {},
        lambda seconds: seconds < START_SECONDS,
        "{:.2f} s",
    )
    yield _verdict(
        f"memory of a worker after any load: under {WORKER_MB:.0f} MB",
        {0: max(memory)} if memory else {},
        lambda megabytes: megabytes < WORKER_MB,
        "{:.0f} MB",
    )


def _against(
    run: Run,
    workload: str,
    server: str,
    demand: str,
    ratio: Ratio,
    *,
    at_least: float = 0.0,
    at_most: float = float("inf"),
    other: str = "",
    mine: str = "heitto",
) -> Verdict:
    """Our figure by that of `server`, at each number of connections; theirs is of the workload `other` where given."""
    found = {
        number: ratio(ours, theirs)
        for number, ours in _ours(run, workload, mine)
        if (theirs := of(run, other or workload, number, server)) and theirs["rate"]
    }
    return _verdict(demand, found, lambda value: at_least <= value <= at_most, "{:.2f}")


def _verdict(demand: str, found: dict[int, float], holds: Callable[[float], bool], form: str) -> Verdict:
    if not found:
        return Verdict(demand, "not measured", None)
    shown = ", ".join(form.format(value) + (f" at {number}" if number else "") for number, value in found.items())
    return Verdict(demand, shown, all(map(holds, found.values())))


def _ours(run: Run, workload: str, server: str = "heitto") -> Iterator[tuple[int, Middle]]:
    for figure in run["results"]:
        if (figure["workload"], figure["server"]) == (workload, server):
            yield figure["connections"], figure["median"]


def _rate(ours: Middle, theirs: Middle) -> float:
    return float(ours["rate"] / theirs["rate"])


def _cost(ours: Middle, theirs: Middle) -> float:
    """Of processor time a request: the server and the stores it asks."""
    mine, other = (sum(of[f"{part}_us"] or 0 for part in ("server", "postgres", "redis")) for of in (ours, theirs))
    return float(mine / other)
