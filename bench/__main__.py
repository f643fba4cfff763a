"""`make bench`: this backend beside its peers, in one run, on one machine, over the same data."""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from backend.embedded.servers import embedded_servers
from backend.embedded.supervisor import exit_on_signals
from bench import comparison, contenders, document, load, platforms, profiling, report, stack, subscribers
from bench.contenders import PEERS
from bench.machine import choose_cores, describe, pinned
from bench.running import Broken
from bench.workloads import QUICK_CONNECTIONS, WORKLOADS, Workload

T = TypeVar("T")


def main() -> int:
    if sys.argv[1:2] == ["report"]:
        return _write_pages()
    options = _options()
    exit_on_signals()
    cores = choose_cores()
    print(
        "The server has a core; PostgreSQL, Redis and the load share another." if cores.server else "Nothing is pinned."
    )
    if load.generator() != "wrk":
        print("SKIPPED wrk, which isn't installed: Python makes the load, and limits what is fast.")
    peers = [] if options.profile else options.peers
    skipped = {peer: why for peer in peers if (why := contenders.missing(peer))}
    for peer, why in skipped.items():
        print(f"SKIPPED {peer}: {why}.")
    present = [peer for peer in peers if peer not in skipped]
    with (
        tempfile.TemporaryDirectory(prefix="heitto-bench-") as folder,
        pinned(cores.others),
        embedded_servers(Path(folder)) as servers,
    ):
        print("Making 10,000 ideas and 100,000 votes ...", flush=True)
        bench = comparison.prepare(servers, Path(folder), cores, limited=options.rate_limits == "on")
        env = comparison.environment(bench, pool=options.pool)
        try:
            if options.profile:
                profiling.run(bench, contenders.ours(env), options.profile, seconds=options.seconds)
                return 0
            compared = comparison.checked(bench, env, present, workers=() if options.peers_only else options.workers)
            unlimited = {**env, "HEITTO_RATE_LIMITS": "off"}  # subscribers all come from one network
            streams = subscribers.measure(bench, contenders.ours(unlimited), options.subscribers)
            others = platforms.measure(bench, *options.platforms, seconds=options.seconds) if options.platforms else []
            results = comparison.measure_all(
                bench,
                compared,
                options.only or WORKLOADS,
                connections=options.connections,
                seconds=options.seconds,
                rounds=options.rounds,
            )
        except (Broken, load.LoadFailed) as error:
            print(f"The comparison is void: {error}", file=sys.stderr)
            return 1
        stores = stack.describe(bench.data)
    about = {
        "machine": {**describe(cores), **stores},
        "peers": {peer: contenders.versions(peer) for peer in present},
        "skipped": skipped,
        "load": load.generator(),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "rate limits": options.rate_limits,
        "peers' pool": options.pool or "each one's best",
    }
    run = report.describe(results, about=about, subscribers=streams, platforms=others)
    report.show(run)
    print(f"Kept in {report.keep(run)}; `python -m bench report FILE` writes docs/performance.md from it.")
    return int(any(result.wrong for rounds in results.values() for result in rounds))


def _write_pages() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench report", description="Tables and plots of a run for docs/.")
    parser.add_argument("run", type=Path, help="a JSON file of bench/results/")
    options = parser.parse_args(sys.argv[2:])
    try:
        run = json.loads(options.run.read_text())
    except (OSError, ValueError) as error:
        print(f"{options.run}: {error}", file=sys.stderr)
        return 1
    for file in document.write(run):
        print(f"wrote {file}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog="`python -m bench report FILE` writes tables and plots of a run into docs/.",
    )
    by_key = {workload.key: workload for workload in WORKLOADS}

    def several(text: str) -> list[Workload]:
        return [_one_of(by_key, key) for key in text.split(",")]

    def peers(text: str) -> list[str]:
        return [_one_of(dict(zip(PEERS, PEERS, strict=True)), name) for name in text.split(",") if name]

    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",")]

    parser.add_argument("--seconds", type=int, default=4, help="of each measurement (4)")
    parser.add_argument("--rounds", type=int, default=3, help="of all servers, for each workload (3)")
    parser.add_argument("--only", type=several, metavar="W1,W3", help=f"some of the workloads {','.join(by_key)}")
    parser.add_argument(
        "--peers", type=peers, default=list(PEERS), metavar="A,B", help=f"some of {','.join(PEERS)}, or ''"
    )
    parser.add_argument("--peers-only", action="store_true", help="leave our own server out")
    parser.add_argument(
        "--connections", type=numbers, metavar="1,32", help="instead of each workload's own; 64 where --only is given"
    )
    parser.add_argument(
        "--workers",
        type=numbers,
        metavar="1,2",
        help="worker processes of our own server (1,2; 1 where --only is given)",
    )
    parser.add_argument(
        "--subscribers",
        type=int,
        metavar="N",
        help="streams whose memory is measured (2000; none where --only is given)",
    )
    parser.add_argument(
        "--platforms",
        type=_platform,
        metavar="FOLDER,URL",
        help="kerrokantasi too: its sources with a .venv, and a database with PostGIS (see docs/performance.md)",
    )
    parser.add_argument("--rate-limits", choices=("on", "off"), default="on", help="of our own server (on)")
    parser.add_argument("--pool", type=int, help="PostgreSQL connections of the peers, instead of each one's best")
    parser.add_argument("--profile", type=lambda key: _one_of(by_key, key), metavar="W2", help="profile our own server")
    options = parser.parse_args()
    quick = options.only is not None
    options.connections = options.connections or (QUICK_CONNECTIONS if quick else None)
    options.workers = options.workers or ([1] if quick else [1, 2])
    if options.subscribers is None:
        options.subscribers = 0 if quick or options.peers_only else 2000
    return options


def _platform(text: str) -> tuple[Path, str]:
    folder, _, url = text.partition(",")
    if not url.startswith("postgresql://") or not (Path(folder) / "manage.py").exists():
        raise argparse.ArgumentTypeError("a folder with manage.py, a comma, and a URL that begins with postgresql://")
    return Path(folder).resolve(), url


def _one_of(known: Mapping[str, T], key: str) -> T:
    if key not in known:
        raise argparse.ArgumentTypeError(f"{key} is none of {', '.join(known)}")
    return known[key]


if __name__ == "__main__":
    sys.exit(main())
