"""`python -m bench.attacks`: what each hostile document costs our server in CPU, by transport. Over 50 ms fails.

The application runs in this process, PostgreSQL and Valkey in others; the clock is this process's CPU time, so it holds
on a busy machine too. Each is sent anew, since what was refused is remembered, and the median of the runs is told.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp

from backend.app import create_app
from backend.commands import connect, migrate_database, mint_tokens
from backend.demo.load import SLUG, load_demo
from backend.embedded.folder import secret_key, signing_key_file
from backend.embedded.servers import Servers, embedded_servers
from backend.settings import Settings, load_settings
from bench.hostile import ATTACKS, Attack
from bench.machine import resident_megabytes
from bench.transports import TRANSPORTS, expected, send

MOST_MS: Final = 50.0
MOST_GROWTH_MB: Final = 300.0  # promise E1
RUNS: Final = 5


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="heitto-bench-") as folder, embedded_servers(Path(folder)) as servers:
        return asyncio.run(_run(_settings(servers, Path(folder))))


def _settings(servers: Servers, folder: Path) -> Settings:
    return load_settings(
        database_url=servers.database_url,
        redis_url=servers.redis_url,
        secret_key=secret_key(folder),
        identity_key=secret_key(folder),
        signing_key_file=signing_key_file(folder),
        rate_limits="off",
        log_level="error",
    )


async def _run(settings: Settings) -> int:
    await migrate_database(settings.database_url)
    conn = await connect(settings.database_url)
    await load_demo(conn, empty=False)
    await conn.close()
    [token] = await mint_tokens(
        settings, slug=SLUG, role="RESIDENT", strength="EMAIL", count=1, resident="", department="", ttl=3_600
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await _warm(app, token)
        before = resident_megabytes(os.getpid()) or 0.0
        failures = [failure for attack in ATTACKS for failure in await _measured(app, attack, token)]
        growth = (resident_megabytes(os.getpid()) or 0.0) - before
    print(f"\n{len(ATTACKS)} attacks. The process grew by {growth:.0f} MB, at most {MOST_GROWTH_MB:.0f} are allowed.")
    if growth > MOST_GROWTH_MB:
        failures.append(f"memory: {growth:.0f} MB")
    print("\n".join(["FAILED", *failures] if failures else [f"Each within {MOST_MS:.0f} ms and with its code."]))
    return bool(failures)


async def _warm(app: ASGIApp, token: str) -> None:
    """What is made once is not the attack's: imports, rules, connections."""
    for headers in ({}, {"authorization": f"Bearer {token}"}):
        for transport in TRANSPORTS:
            await send(app, transport, Attack("warm", "", "{ municipality { name } nothing }"), headers)
    print(f"{'CPU ms, median of ' + str(RUNS):48}" + "".join(f"{name:>11}" for name in TRANSPORTS), flush=True)


async def _measured(app: ASGIApp, attack: Attack, token: str) -> list[str]:
    """Prints a line of the worse of both callers, without and with a token; tells what went wrong."""
    failures, shown = [], []
    for transport in TRANSPORTS:
        worst = 0.0
        for headers in ({}, {"authorization": f"Bearer {token}"}):
            costs = []
            for _ in range(RUNS):
                began = time.process_time()
                ended = await send(app, transport, attack, headers)
                costs.append((time.process_time() - began) * 1_000)
                if ended and ended.code != expected(attack, transport):
                    failures.append(f"{attack.name} over {transport}: {ended.code or 'answered'}")
            worst = max(worst, statistics.median(costs) if ended else 0)
        shown.append(f"{worst:11.1f}" if worst else f"{'-':>11}")
        if worst > MOST_MS:
            failures.append(f"{attack.name} over {transport}: {worst:.1f} ms")
    print(f"{attack.name:48}" + "".join(shown), flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
