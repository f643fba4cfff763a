"""What a run found: as JSON that is kept, and as the table that people read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.contenders import Contender
from bench.measure import Result, median
from bench.workloads import Workload

_RESULTS = Path(__file__).with_name("results")

Run = dict[str, Any]  # as in its JSON file


class Case(NamedTuple):
    """What was measured; a result a round."""

    workload: Workload
    connections: int
    contender: Contender


Results = dict[Case, list[Result]]


def describe(
    results: Results,
    *,
    about: Mapping[str, object],
    subscribers: Mapping[str, float],
    platforms: Sequence[Mapping[str, object]],
) -> Run:
    """The run as JSON has it; results ordered by workload, connections, server."""
    figures = [
        {
            "workload": case.workload.key,
            "title": case.workload.title,
            "connections": case.connections,
            "server": case.contender.name,
            "server title": case.contender.title,
            "counted": bool(case.workload.ideas or case.workload.beside),
            "median": asdict(median(rounds)),
            "rounds": [asdict(result) for result in rounds],
        }
        for case, rounds in results.items()
    ]
    order = list(dict.fromkeys(figure["workload"] for figure in figures))
    figures.sort(key=lambda figure: (order.index(figure["workload"]), figure["connections"]))
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {"at": at, **about, "subscriber bytes": dict(subscribers), "platforms": list(platforms), "results": figures}


def show(run: Run) -> None:
    Console(width=None if Console().is_terminal else 190).print(_table(run))
    for name, size in run["subscriber bytes"].items():
        print(f"memory of a subscriber over {name}: {size / 1000:,.1f} kB")
    for figure in run["results"]:
        for wrong in dict.fromkeys(result["wrong"] for result in figure["rounds"] if result["wrong"]):
            print(f"WRONG {figure['workload']} {figure['server title']}, {figure['connections']} connections: {wrong}")


def keep(run: Run) -> Path:
    """Writes `results/<time>.json` and tells where, from the repository's folder."""
    _RESULTS.mkdir(exist_ok=True)
    file = _RESULTS / f"{run['at'].replace(':', '')}.json"
    file.write_text(json.dumps(run, indent=1) + "\n")
    return file.relative_to(_RESULTS.parent.parent)


def of(run: Run, workload: str, connections: int, server: str) -> dict[str, Any] | None:  # a figure of the run
    """The median of what one server did there; None where it wasn't measured."""
    for figure in run["results"]:
        if (figure["workload"], figure["connections"], figure["server"]) == (workload, connections, server):
            found: dict[str, Any] = figure["median"]
            return found
    return None


def _table(run: Run) -> Table:
    shown = Table(
        title="requests/s: median of the rounds, slowest to fastest; latency in ms; processor time in µs a request"
    )
    for heading in ("workload", "server"):
        shown.add_column(heading)
    for heading in ("requests/s", "", "x Mercurius", "p50", "p95", "p99", "longest"):
        shown.add_column(heading, justify="right")
    for heading in ("server", "PostgreSQL", "Redis", "load", "worker MB", "start s"):
        shown.add_column(heading, justify="right")
    shown.add_column("answers")
    last = None
    for figure in run["results"]:
        place, middle = (figure["workload"], figure["connections"]), figure["median"]
        yardstick = of(run, *place, "mercurius")
        rates = [result["rate"] for result in figure["rounds"]]
        if last not in (None, place):
            shown.add_section()
        shown.add_row(
            "" if last == place else f"{figure['workload']} {figure['title']}, {figure['connections']} connections",
            figure["server title"],
            f"{middle['rate']:,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{middle['rate'] / yardstick['rate']:.2f}" if yardstick and yardstick["rate"] else "-",
            *(f"{middle[name]:.1f}" for name in ("p50", "p95", "p99", "longest")),
            *(whole(middle[name]) for name in ("server_us", "postgres_us", "redis_us", "load_us", "resident_mb")),
            f"{middle['started']:.1f}",
            "WRONG" if middle["wrong"] else "counted" if figure["counted"] else "good",
        )
        last = place
    return shown


def whole(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:,.0f}"
