"""`make bench`: this backend beside its peers, in one run, on one machine, over the same data."""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from backend.embedded.servers import embedded_servers
from backend.embedded.supervisor import exit_on_signals
from bench import comparison, contenders, load, profiling, report, stack
from bench.contenders import PEERS
from bench.machine import choose_cores, describe, pinned
from bench.measure import Broken
from bench.workloads import CONNECTIONS, WORKLOADS, Workload

T = TypeVar("T")


def main() -> int:
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
    with (
        tempfile.TemporaryDirectory(prefix="heitto-bench-") as folder,
        pinned(cores.others),
        embedded_servers(Path(folder)) as servers,
    ):
        print("Making 10,000 ideas and 100,000 votes ...", flush=True)
        bench = comparison.prepare(servers, Path(folder), cores)
        env = comparison.environment(bench, pool=options.pool)
        try:
            if options.profile:
                profiling.run(bench, contenders.ours(env), options.profile, seconds=options.seconds)
                return 0
            present = [peer for peer in peers if peer not in skipped]
            compared = comparison.checked(bench, env, present, own=not options.peers_only)
            results = comparison.measure_all(
                bench, compared, options.only, seconds=options.seconds, rounds=options.rounds
            )
        except (Broken, load.LoadFailed) as error:
            print(f"The comparison is void: {error}", file=sys.stderr)
            return 1
        stores = stack.describe(bench.data)
    report.show(results)
    about = {
        "machine": {**describe(cores), **stores},
        "peers": {peer: contenders.versions(peer) for peer in peers if peer not in skipped},
        "skipped": skipped,
        "load": load.generator(),
        "connections": CONNECTIONS,
        "seconds": options.seconds,
        "peers' pool": options.pool or "each one's default",
    }
    print(f"Kept in bench/results/{report.keep(results, about=about).name}")
    return int(any(result.wrong for rounds in results.values() for result in rounds))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    by_key = {workload.key: workload for workload in WORKLOADS}

    def several(text: str) -> list[Workload]:
        return [_one_of(by_key, key) for key in text.split(",")]

    def peers(text: str) -> list[str]:
        return [_one_of(dict(zip(PEERS, PEERS, strict=True)), name) for name in text.split(",") if name]

    parser.add_argument("--seconds", type=int, default=10, help="of each measurement (10)")
    parser.add_argument("--rounds", type=int, default=3, help="of all servers, for each workload (3)")
    parser.add_argument(
        "--only", type=several, default=WORKLOADS, metavar="W1,W3", help="some of the workloads W1 to W4"
    )
    parser.add_argument(
        "--peers", type=peers, default=list(PEERS), metavar="A,B", help=f"some of {','.join(PEERS)}, or ''"
    )
    parser.add_argument("--peers-only", action="store_true", help="leave our own server out")
    parser.add_argument("--pool", type=int, help="PostgreSQL connections of the peers, instead of each one's best")
    parser.add_argument("--profile", type=lambda key: _one_of(by_key, key), metavar="W2", help="profile our own server")
    return parser.parse_args()


def _one_of(known: Mapping[str, T], key: str) -> T:
    if key not in known:
        raise argparse.ArgumentTypeError(f"{key} is none of {', '.join(known)}")
    return known[key]


if __name__ == "__main__":
    sys.exit(main())
