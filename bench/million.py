"""A municipality of any size, made by SQL, and what its size does to answers.

`python -m bench.million make --ideas 1000000 --votes 10000000 --folder DIR`, then
`python -m bench.million compare --small DIR --large DIR`.
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from backend.commands import connect, migrate_database
from backend.db.pool import Connection
from backend.db.votes import recount
from backend.embedded.servers import embedded_servers
from backend.embedded.supervisor import exit_on_signals
from bench import growth

_STEPS = Path(__file__).with_name("million.sql")
_STEP = re.compile(r"^-- step: (.+?)(?: by (\d+))?\n", re.MULTILINE)
_HOUR = 3600.0
# Foreign keys and triggers are not asked: what the steps write keeps them. Nothing is on disk
# until the end, as a load that was cut off is begun anew.
_LOADING = """
SET session_replication_role = replica;
SET synchronous_commit = off;
SET work_mem = '512MB';
SET maintenance_work_mem = '1GB';
SET max_parallel_maintenance_workers = 2;
"""
# Every index that no constraint has, and the primary key of the votes, are made after their rows: in order, at once.
_INDEXES = """
SELECT c.oid::regclass::text, pg_get_indexdef(c.oid), t.oid::regclass::text
FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid
WHERE t.relnamespace = 'public'::regnamespace AND NOT x.indisunique
  AND t.relname IN ('ideas', 'idea_groups', 'votes', 'idea_tallies', 'tally_days', 'responses', 'follows', 'residents')
"""


async def fill(database_url: str, *, ideas: int, votes: int) -> None:
    """Fills an empty, migrated database, saying how far it is. What is in it equals what the API would have written."""
    conn = await connect(database_url)
    try:
        await conn.execute(_LOADING)
        await conn.execute(
            "SELECT set_config('bench.ideas', $1, false), set_config('bench.votes', $2, false)", str(ideas), str(votes)
        )
        indexes = await conn.fetch(_INDEXES)
        for name, _, _ in indexes:
            await conn.execute(f"DROP INDEX {name}")
        await conn.execute("ALTER TABLE votes DROP CONSTRAINT votes_pkey")
        for title, statement, part in _steps(ideas):
            with _said(title):
                await conn.execute(
                    "SELECT set_config('bench.first', $1, false), set_config('bench.last', $2, false)",
                    *map(str, part),
                )
                await conn.execute(statement, timeout=_HOUR)
        await _count(conn)
        with _said("index votes_pkey"):
            await conn.execute(
                "ALTER TABLE votes ADD CONSTRAINT votes_pkey PRIMARY KEY (municipality_id, idea_id, resident_id)",
                timeout=_HOUR,
            )
        for name, definition, _ in indexes:
            with _said(f"index {name}"):
                await conn.execute(definition, timeout=_HOUR)
        with _said("vacuum and analyze"):
            await conn.execute("VACUUM ANALYZE", timeout=_HOUR)
            await conn.execute("CHECKPOINT", timeout=_HOUR)
    finally:
        await conn.close()


async def _count(conn: Connection) -> None:
    with _said("counting the votes"):
        await conn.execute("ANALYZE votes, idea_tallies", timeout=_HOUR)
        await recount(conn, municipality_id=await conn.fetchval("SELECT id FROM municipalities"))
    with _said("taking out what the counting left"):
        await conn.execute("VACUUM FULL idea_tallies", timeout=_HOUR)


def _steps(ideas: int) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Title, statements, and the first and last idea of each part of the load."""
    _, *parts = _STEP.split(_STEPS.read_text())
    for title, size, statements in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        step = int(size or ideas)
        for first in range(1, ideas + 1, step):
            last = min(first + step - 1, ideas)
            yield f"{title} {first:,} to {last:,}" if step < ideas else title, statements, (first, last)


class _said:  # noqa: N801 # reads as a word in a `with`
    """Says what is done, then how long it took."""

    def __init__(self, title: str) -> None:
        self.title = title

    def __enter__(self) -> None:
        self.began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        print(f"{self.title}: {time.monotonic() - self.began:.1f} s", flush=True)


def make(folder: Path, *, ideas: int, votes: int) -> None:
    """Leaves a stopped cluster with one filled municipality, `bench`, in `folder`."""
    with embedded_servers(folder, durable=False) as servers:
        began = time.monotonic()
        asyncio.run(migrate_database(servers.database_url))
        asyncio.run(fill(servers.database_url, ideas=ideas, votes=votes))
        print(f"{ideas:,} ideas and {votes:,} votes in {folder}: {time.monotonic() - began:.0f} s in all", flush=True)


def compare(options: argparse.Namespace) -> None:
    """Prints the table, and keeps the figures beside the bench's other results."""
    small, large = growth.measured(
        (options.small, options.large), only=options.only, repetitions=options.repetitions, seconds=options.seconds
    )
    growth.show(small, large)
    print(f"Kept in bench/results/{growth.keep({'small': small, 'large': large}).name}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.million", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="fill one municipality in an embedded cluster")
    making.add_argument("--ideas", type=int, default=1_000_000)
    making.add_argument("--votes", type=int, default=10_000_000)
    making.add_argument("--folder", type=Path, help="where the cluster is kept (a temporary one)")
    comparing = commands.add_parser("compare", help="the same requests to two such folders")
    comparing.add_argument("--small", type=Path, required=True)
    comparing.add_argument("--large", type=Path, required=True)
    comparing.add_argument("--only", default="", metavar="TEXT", help="requests with this in their title")
    comparing.add_argument("--repetitions", type=int, default=200, help="of each request (200)")
    comparing.add_argument("--seconds", type=float, default=20.0, help="of each request at most (20)")
    options = parser.parse_args()
    exit_on_signals()
    if options.command == "compare":
        compare(options)
        return 0
    folder = options.folder or Path(tempfile.mkdtemp(prefix="heitto-million-"))
    make(folder, ideas=options.ideas, votes=options.votes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
