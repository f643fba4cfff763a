"""Looking for what somebody wrote, wherever it might have stayed."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import asyncpg
import redis

TABLES = """
SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg_%'
ORDER BY 1
"""


def disguises(text: str) -> set[str]:
    """How a text may look, in small letters: as it is, in hexadecimal, and in base64 wherever it begins."""
    raw = text.encode()
    in_base64 = {base64.b64encode(b"x" * n + raw).decode()[n + (n > 0) : -4] for n in range(3)}
    return {text.lower(), raw.hex(), raw.lower().hex(), *(each.lower() for each in in_base64)}


def shown(text: str, wanted: Iterable[str]) -> set[str]:
    """Which of the texts are in a larger one."""
    text = text.lower()
    return {each for each in wanted if any(disguise in text for disguise in disguises(each))}


async def in_tables(conn: "asyncpg.Connection[asyncpg.Record]", wanted: Iterable[str]) -> dict[str, set[str]]:
    """Which tables have rows, of whatever columns, that show some of the texts; and which texts."""
    found: dict[str, set[str]] = {}
    for (table,) in await conn.fetch(TABLES):
        rows = await conn.fetch(f"SELECT t::text FROM {table} AS t")  # noqa: S608 # as the catalogue has it
        if seen := set().union(*(shown(row[0], wanted) for row in rows)):
            found[table] = seen
    return found


def in_redis(url: str, wanted: Iterable[str]) -> dict[str, set[str]]:
    """Which keys show some of the texts, by their names or by what they hold."""
    client = redis.Redis.from_url(url)
    found = {}
    for key in cast(
        "Iterator[bytes]", client.scan_iter()
    ):  # cast: redis-py leaves open whether it is the awaitable one
        held = key + b" " + _held(client, key)
        if seen := shown(held.decode("latin-1"), wanted):
            found[key.decode("latin-1")] = seen
    client.close()
    return found


def _held(client: "redis.Redis", key: bytes) -> bytes:
    kind = cast("bytes", client.type(key))  # cast: as above
    if kind == b"string":
        return cast("bytes | None", client.get(key)) or b""
    if kind == b"none":  # it has just ended
        return b""
    reads = {
        b"hash": ("HGETALL",),
        b"list": ("LRANGE", 0, -1),
        b"set": ("SMEMBERS",),
        b"zset": ("ZRANGE", 0, -1),
        b"stream": ("XRANGE", "-", "+"),
    }
    command, *bounds = reads[kind]
    return repr(client.execute_command(str(command), key, *bounds)).encode()  # type: ignore[no-untyped-call] # redis-py


def in_folder(folder: Path, wanted: Iterable[str], *, pattern: str = "*") -> dict[str, set[str]]:
    """Which files, by their names or by what they hold."""
    found = {}
    for path in sorted(folder.rglob(pattern)):
        held = path.read_bytes() if path.is_file() else b""
        if seen := shown(f"{path.name} {held.decode('latin-1')}", wanted):
            found[str(path)] = seen
    return found
