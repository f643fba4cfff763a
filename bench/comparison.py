"""A run: the data made once, every server checked to give the same page, then all of them measured in turn."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.auth.keys import load_signing_keys
from backend.embedded.folder import secret_key, signing_key_file
from backend.embedded.servers import Servers
from bench import contenders, report, stack
from bench.contenders import PEERS, Contender, Json
from bench.machine import Cores
from bench.measure import measure
from bench.running import Bench, Broken, free_port, page, pages, running, sign_tokens
from bench.workloads import Workload

_START_SECONDS = 7  # to reset the data, start a server, let it settle and stop it; for the estimate of a round


def prepare(servers: Servers, folder: Path, cores: Cores, *, limited: bool) -> Bench:
    """Data, keys and a port for a run."""
    keys = load_signing_keys(signing_key_file(folder))
    public = keys.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "public.pem").write_bytes(public)
    data = stack.make(servers.database_url, servers.redis_url)
    return Bench(servers, data, keys, sign_tokens(keys, data.residents), cores, folder, free_port(), limited)


def environment(bench: Bench, *, pool: int | None) -> dict[str, str]:
    """What every server is told; each reads its own part."""
    database_url = bench.servers.database_url
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "HEITTO_DATABASE_URL": database_url,
        "HEITTO_REDIS_URL": bench.servers.redis_url,
        "HEITTO_SIGNING_KEY_FILE": str(signing_key_file(bench.folder)),
        "HEITTO_SECRET_KEY": secret_key(bench.folder),
        "HEITTO_HOST": "127.0.0.1",
        "HEITTO_PORT": str(bench.port),
        "HEITTO_RATE_LIMITS": "on" if bench.limited else "off",
        "HEITTO_TRUSTED_PROXIES": "127.0.0.1",
        "HEITTO_DEFAULT_MUNICIPALITY": "bench",
        "HEITTO_LOG_LEVEL": "warning",
        "NODE_ENV": "production",
        "GRAPHILE_ENV": "production",
        "DATABASE_URL": database_url,
        "PUBLIC_KEY_FILE": str(bench.folder / "public.pem"),
        "PORT": str(bench.port),
        "BENCH_PAGE": str(bench.folder / "page.json"),
    }
    return env if pool is None else {**env, "POOL": str(pool)}


def checked(bench: Bench, env: dict[str, str], peers: Sequence[str], *, workers: Sequence[int]) -> list[Contender]:
    """Every server that can be compared, each having answered the same pages. Raises Broken."""
    compared = [contenders.ours(env, workers=number) for number in workers]
    compared += [PEERS[name](env) for name in peers if name != "bare"]
    expected = None
    for contender in compared:
        stack.reset(bench.data)
        with running(bench, contender):
            found = pages(bench, contender)
            if expected is None:
                expected = found
                _check_that_all_is_shown(found)
                (bench.folder / "page.json").write_bytes(page(bench, contender))
        if found != expected:
            different = next(pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1])
            rows = next(rows for rows in zip(*different, strict=True) if rows[0] != rows[1])
            raise Broken(f"{contender.title} answers another page than {compared[0].title}: {rows[0]} {rows[1]}")
    if "bare" in peers and compared:
        compared.append(contenders.bare(env))
    return compared


def _check_that_all_is_shown(pages: Sequence[Sequence[Json]]) -> None:
    """Pages that show nothing would be equal too: each field has something to show somewhere, and nothing elsewhere."""
    rows = [row for shown in pages[1:] for row in shown]
    for field in ("viewerVote", "viewerFollows", "latestResponse"):
        if len({bool(row[field]) for row in rows}) < 2:
            raise Broken(f"the data don't tell whether {field} is right")
    for field in ("firstResponseAt", "answeredAt", "isOverdue"):
        if len({bool(row["clock"][field]) for row in rows}) < 2:
            raise Broken(f"the data don't tell whether clock.{field} is right")


def measure_all(
    bench: Bench,
    compared: list[Contender],
    workloads: Sequence[Workload],
    *,
    connections: Sequence[int] | None,
    seconds: int,
    rounds: int,
) -> report.Results:
    """Round after round of all servers, so that a noisy minute hits all alike. Raises Broken or load.LoadFailed."""
    warmup = max(2, seconds // 3)
    todo = {
        workload: [
            (contender, start)
            for contender in compared
            if contender.takes(workload)
            for start in _starts(workload, contender, connections)
        ]
        for workload in workloads
    }
    each = sum(_START_SECONDS + warmup + seconds * len(start) for starts in todo.values() for _, start in starts)
    print(f"About {math.ceil(rounds * each / 60)} minutes of measuring.", flush=True)
    results: report.Results = {}
    for workload, starts in todo.items():
        for turn in range(rounds):
            for contender, start in starts:
                found = measure(bench, contender, workload, start, seconds=seconds, warmup=warmup)
                for number, result in zip(start, found, strict=True):
                    results.setdefault(report.Case(workload, number, contender), []).append(result)
                    print(
                        f"{workload.key} round {turn + 1}/{rounds}, {number} connections, {contender.title}: "
                        f"{result.rate:,.0f}/s, p95 {result.p95:.1f} ms{', WRONG' if result.wrong else ''}",
                        flush=True,
                    )
    return results


def _starts(workload: Workload, contender: Contender, connections: Sequence[int] | None) -> list[list[int]]:
    """Which numbers of connections are measured in one start. Votes are counted from nothing each time; pages bear
    another load on the same server. Several workers are for many callers."""
    numbers = list(connections or (workload.connections if contender.workers == 1 else workload.connections[-1:]))
    return [[number] for number in numbers] if workload.ideas else [numbers]
