"""The table that people read, and the JSON that is kept."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.contenders import Contender
from bench.measure import Result, median
from bench.workloads import Workload

_RESULTS = Path(__file__).with_name("results")
Results = dict[tuple[Workload, Contender], list[Result]]


def table(results: Results) -> Table:
    """A row a workload and server."""
    shown = Table(
        title="requests/s: median of the rounds, slowest to fastest; latency in ms; processor time in µs a request"
    )
    shown.add_column("workload")
    shown.add_column("server")
    for heading in ("requests/s", "", "x Mercurius", "p50", "p99", "server", "PostgreSQL", "Redis", "worker MB"):
        shown.add_column(heading, justify="right")
    shown.add_column("answers")
    last = None
    for (workload, contender), rounds in results.items():
        middle = median(rounds)
        yardstick = next(
            (median(r).rate for (w, c), r in results.items() if w is workload and c.name == "mercurius"), None
        )
        if last not in (None, workload):
            shown.add_section()
        shown.add_row(
            "" if last is workload else f"{workload.key} {workload.title}",
            contender.title,
            f"{middle.rate:,.0f}",
            f"{min(r.rate for r in rounds):,.0f} to {max(r.rate for r in rounds):,.0f}",
            f"{middle.rate / yardstick:.2f}" if yardstick else "-",
            f"{middle.p50:.1f}",
            f"{middle.p99:.1f}",
            *(_whole(figure) for figure in (middle.server_us, middle.postgres_us, middle.redis_us, middle.resident_mb)),
            "WRONG" if middle.wrong else "counted" if workload.ideas else "good",
        )
        last = workload
    return shown


def show(results: Results) -> None:
    Console(width=None if Console().is_terminal else 170).print(table(results))
    for (workload, contender), rounds in results.items():
        for wrong in dict.fromkeys(result.wrong for result in rounds if result.wrong):
            print(f"WRONG {workload.key} {contender.title}: {wrong}")


def keep(results: Results, *, about: dict[str, object]) -> Path:
    """Writes `results/<time>.json` and tells where."""
    _RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    file = _RESULTS / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    figures = [
        {
            "workload": workload.key,
            "title": workload.title,
            "server": contender.name,
            "median": asdict(median(rounds)),
            "rounds": [asdict(result) for result in rounds],
        }
        for (workload, contender), rounds in results.items()
    ]
    file.write_text(json.dumps({"at": f"{now:%Y-%m-%dT%H:%M:%SZ}", **about, "results": figures}, indent=1) + "\n")
    return file


def _whole(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:,.0f}"
