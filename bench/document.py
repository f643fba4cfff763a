"""`docs/performance.md` from a run: the figures between its marks, the plots, and the run itself beside them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from bench.plots import draw
from bench.report import Run, of, whole
from bench.verdicts import judge

_DOCS = Path(__file__).parent.parent / "docs"
PAGE = _DOCS / "performance.md"
FOLDER = _DOCS / "performance"
_MISSING = "Not measured in this run.\n"
_MARKED = re.compile(r"(<!-- run: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def write(run: Run) -> Iterator[str]:
    """Names each file as it is written, from the repository's folder."""
    FOLDER.mkdir(exist_ok=True)
    for workload in _workloads(run):
        file = FOLDER / f"{workload}.svg"
        file.write_text(draw(run, workload))
        yield _name(file)
    kept = FOLDER / "run.json"
    kept.write_text(json.dumps(run, indent=1) + "\n")
    yield _name(kept)
    PAGE.write_text(filled(run, PAGE.read_text()))
    yield _name(PAGE)


def filled(run: Run, page: str) -> str:
    """The page with the run's figures between its marks."""
    parts = {
        "about": _about(run),
        "demands": _demands(run),
        "subscribers": _subscribers(run),
        "platforms": _platforms(run),
        **{workload: _workload(run, workload) for workload in _workloads(run)},
    }
    return _MARKED.sub(lambda match: f"{match[1]}{parts.get(match[2], _MISSING)}{match[3]}", page)


def _workloads(run: Run) -> list[str]:
    return list(dict.fromkeys(figure["workload"] for figure in run["results"]))


def _name(file: Path) -> str:
    return str(file.relative_to(_DOCS.parent))


def _about(run: Run) -> str:
    rows = [
        ("measured", run["at"]),
        *run["machine"].items(),
        *((f"peer {peer}", versions) for peer, versions in run["peers"].items() if versions),
        *((f"left out: {peer}", why) for peer, why in run["skipped"].items()),
        ("load made by", run["load"]),
        ("a measurement", f"{run['seconds']} s, {run['rounds']} rounds"),
        ("rate limits", run["rate limits"]),
        ("PostgreSQL connections of the peers", run["peers' pool"]),
    ]
    return _table(["", ""], [[str(name), str(value)] for name, value in rows])


def _demands(run: Run) -> str:
    said = {True: "yes", False: "**no**", None: "-"}
    return _table(
        ["demand", "measured (at so many connections)", "met"],
        [[verdict.demand, verdict.measured, said[verdict.met]] for verdict in judge(run)],
    )


def _subscribers(run: Run) -> str:
    sizes = run["subscriber bytes"]
    if not sizes:
        return _MISSING
    return _table(["over", "kB each"], [[name, f"{size / 1000:.1f}"] for name, size in sizes.items()])


def _platforms(run: Run) -> str:
    if not run["platforms"]:
        return _MISSING
    heads = ["server", "connections", "requests/s", "p50", "p95", "p99", "server µs", "PostgreSQL µs", "MB"]
    rows = [
        [
            figure["server"],
            str(figure["connections"]),
            f"{figure['rate']:,.1f}",
            *(f"{figure[name]:.1f}" for name in ("p50", "p95", "p99")),
            *(whole(figure[name]) for name in ("server_us", "postgres_us", "resident_mb")),
        ]
        for figure in run["platforms"]
    ]
    return _table(heads, rows)


def _workload(run: Run, workload: str) -> str:
    figures = [figure for figure in run["results"] if figure["workload"] == workload]
    rows = []
    for figure in figures:
        middle = figure["median"]
        yardstick = of(run, workload, figure["connections"], "mercurius")
        costs = [middle[f"{part}_us"] for part in ("server", "postgres", "redis")]
        rows.append(
            [
                str(figure["connections"]),
                figure["server title"],
                f"{middle['rate']:,.0f}",
                f"{middle['rate'] / yardstick['rate']:.2f}" if yardstick and yardstick["rate"] else "-",
                *(f"{middle[name]:.1f}" for name in ("p50", "p95", "p99", "longest")),
                *map(whole, costs),
                whole(sum(cost or 0 for cost in costs)),
                whole(middle["resident_mb"]),
                "WRONG" if middle["wrong"] else "counted" if figure["counted"] else "good",
            ]
        )
    heads = ["connections", "server", "requests/s", "x Mercurius", "p50", "p95", "p99", "longest"]
    heads += ["server µs", "PostgreSQL µs", "Redis µs", "together µs", "MB", "answers"]
    beside = [figure["median"] for figure in figures if figure["median"]["beside"] is not None]
    landed = ""
    if beside:
        slowest, fewest = max(m["beside_p99"] for m in beside), min(m["beside"] for m in beside)
        landed = f"\nAt least {fewest:.0f} votes/s landed meanwhile; the slowest p99 of them was {slowest:.1f} ms.\n"
    return f"![{workload}](performance/{workload}.svg)\n\n{_table(heads, rows)}{landed}"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    """In Markdown; columns of figures to the right."""
    numeric = [all(re.fullmatch(r"[\d.,-]+", row[number]) for row in rows) for number in range(len(heads))]
    lines = [heads, ["--:" if right else "---" for right in numeric], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
