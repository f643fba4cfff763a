"""Forward-only migrations: `sql/migrations/NNNN_name.sql`, each run once, in order, under one lock."""

import asyncio
import hashlib
import re

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries

from backend.db.pool import Connection
from backend.db.statements import SQL_FOLDER

_LOCK = 0x4E17  # any constant, the same in every process
_FOLDER = SQL_FOLDER / "migrations"


class EditedMigration(Exception):
    """A migration file was changed after it was applied."""


def _files() -> list[tuple[str, str, str]]:
    """(version, text, digest) of every migration, in order."""
    texts = [(path.stem, path.read_text("utf-8")) for path in sorted(_FOLDER.glob("[0-9]*.sql"))]
    return [(version, text, hashlib.sha256(text.encode()).hexdigest()) for version, text in texts]


async def pending(conn: Connection) -> list[str]:
    """Versions that the database lacks, the job queue's tables included. Raises EditedMigration."""
    if not await conn.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL"):
        applied = {}
    else:
        applied = {row[0]: row[1] for row in await conn.fetch("SELECT version, sha256 FROM schema_migrations")}
    for version, _, digest in _files():
        if applied.get(version, digest) != digest:
            raise EditedMigration(f"{version}.sql was edited after it was applied")
    missing = [version for version, _, _ in _files() if version not in applied]
    if missing or not await Queries(AsyncpgDriver(conn)).schema_is_installed():  # type: ignore[arg-type] # a pool's proxy serves too
        missing.append("pgqueuer")
    return missing


async def migrate(conn: Connection) -> list[str]:
    """Brings the database to the newest schema; the versions applied. Any number of processes may race for it."""
    done: list[str] = []
    # A blocked pg_advisory_lock() keeps a snapshot open and deadlocks with CREATE INDEX CONCURRENTLY: so poll.
    while not await conn.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110 # another process holds it
        await asyncio.sleep(0.1)
    try:
        await conn.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (version text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        missing = await pending(conn)
        for version, text, digest in _files():
            if version in missing:
                await _apply(conn, version=version, text=text, digest=digest)
                done.append(version)
        queue = Queries(AsyncpgDriver(conn))  # type: ignore[arg-type] # a pool's proxy serves too
        if not await queue.schema_is_installed():
            await queue.install()
            done.append("pgqueuer")
        elif (await queue.plan_upgrade()).statements:
            await queue.upgrade()
            done.append("pgqueuer")
    finally:
        await conn.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return done


async def _apply(conn: Connection, *, version: str, text: str, digest: str) -> None:
    record = "INSERT INTO schema_migrations (version, sha256) VALUES ($1, $2)"
    if re.search(
        r"^-- no-transaction$", text, re.MULTILINE
    ):  # CREATE INDEX CONCURRENTLY and the like, one statement a file
        await conn.execute(text)
        await conn.execute(record, version, digest)
        return
    async with conn.transaction():
        await conn.execute("SET LOCAL lock_timeout = '1s'")  # rather fail, and be run again, than hold up everybody
        await conn.execute(text)
        await conn.execute(record, version, digest)
