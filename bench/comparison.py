"""A run: the data made once, every server checked to give the same page, then all of them measured in turn."""

import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.auth.keys import load_signing_keys
from backend.embedded.folder import secret_key, signing_key_file
from backend.embedded.servers import Servers
from bench import contenders, report, stack
from bench.contenders import PEERS, Contender
from bench.machine import Cores
from bench.measure import Bench, Broken, content, free_port, measure, page, running, sign_tokens
from bench.workloads import Workload


def prepare(servers: Servers, folder: Path, cores: Cores) -> Bench:
    """Data, keys and a port for a run."""
    return prepare_made(servers, folder, cores, stack.make(servers.database_url, servers.redis_url))


def prepare_made(servers: Servers, folder: Path, cores: Cores, data: stack.Data) -> Bench:
    """Keys and a port for a run over data that is there."""
    keys = load_signing_keys(signing_key_file(folder))
    public = keys.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "public.pem").write_bytes(public)
    return Bench(servers, data, sign_tokens(keys, data.residents), cores, folder, free_port())


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
        "HEITTO_WORKERS": "1",
        "HEITTO_RATE_LIMITS": "off",
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


def checked(bench: Bench, env: dict[str, str], peers: Sequence[str], *, own: bool) -> list[Contender]:
    """Every server that can be compared, each having answered the same page. Raises Broken."""
    compared = [contenders.ours(env)] if own else []
    compared += [PEERS[name](env) for name in peers if name != "bare"]
    expected = None
    for contender in compared:
        stack.reset(bench.data)
        with running(bench, contender):
            found = [content(contender, page(bench, contender, signed_in=signed_in)) for signed_in in (False, True)]
            if expected is None:
                expected = found
                (bench.folder / "page.json").write_bytes(page(bench, contender))
        if found != expected:
            raise Broken(f"{contender.title} answers another page than {compared[0].title}: {found} {expected}")
    if "bare" in peers and compared:
        compared.append(contenders.bare(env))
    return compared


def measure_all(
    bench: Bench, compared: list[Contender], workloads: Sequence[Workload], *, seconds: int, rounds: int
) -> report.Results:
    """Round after round of all servers, so that a noisy minute hits all alike. Raises Broken or load.LoadFailed."""
    results: report.Results = {}
    for workload in workloads:
        able = [contender for contender in compared if contender.votes or not workload.signed_in]
        for number in range(rounds):
            for contender in able:
                result = measure(bench, contender, workload, seconds=seconds, warmup=max(2, seconds // 3))
                results.setdefault((workload, contender), []).append(result)
                progress = f"{workload.key} round {number + 1}/{rounds}"
                print(f"{progress} {contender.title}: {result.rate:,.0f}/s", flush=True)
    return results
