"""`python -m tests.fuzz --seconds 300`: asks whatever the schema allows, and says what no answer may be."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from backend.commands import connect, migrate_database
from backend.demo.load import load_demo
from backend.embedded.servers import Servers, embedded_servers
from tests.access.opened import opened, town_settings
from tests.access.towns import build_towns
from tests.conftest import OTHER
from tests.fuzz.run import Report, fuzz
from tests.world import add_municipality


async def run(servers: Servers, *, seconds: float, seed: int) -> Report:
    await migrate_database(servers.database_url)
    conn = await connect(servers.database_url)
    await load_demo(conn, empty=True)
    await add_municipality(conn, OTHER)
    await conn.close()
    settings = town_settings(servers, servers.database_url)
    async with opened(settings) as api:
        towns = await build_towns(api)
    async with opened(settings) as api:  # which knows the towns as they are now
        return await fuzz(towns.asked_through(api), seconds=seconds, first_seed=seed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first round, to have it again")
    given = parser.parse_args()
    print(f"seed {given.seed}, for {given.seconds:.0f} s", flush=True)
    # Not a folder of the user's: root's PostgreSQL may run as nobody, who can't enter it.
    folder = Path(tempfile.mkdtemp(prefix="heitto-fuzz-"))
    try:
        with embedded_servers(folder, durable=False) as servers:
            report = asyncio.run(run(servers, seconds=given.seconds, seed=given.seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(report.lines()))
    return 1 if report.problems or report.uncovered else 0


if __name__ == "__main__":
    sys.exit(main())
