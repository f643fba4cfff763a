"""Makes the copy that a person asked for of all that is held on them: one document of JSON, in pieces.

All of it is of one moment, and no more than a piece is in memory. Killed anywhere it begins anew; run twice it does
nothing the second time.
"""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import orjson

from backend.db import data_exports
from backend.db.data_exports import SECTIONS
from backend.db.pool import Connection, Pool, acquire, take_time
from backend.jobs.queue import Job, Payload, enqueue

NAME: Final = "export_data"
PART_BYTES: Final = 256 * 1024


async def ask_export(conn: Connection, *, municipality_id: UUID, export_id: UUID) -> None:
    """Has it made once the transaction of `conn` is committed."""
    await enqueue(conn, NAME, {"municipality_id": municipality_id, "export_id": export_id})


def export_data(pool: Pool, *, days: int) -> Job:
    """The job, for a worker with this pool; a document can be fetched for so many `days`."""

    async def run(payload: Payload) -> None:
        municipality_id, id = UUID(payload["municipality_id"]), UUID(payload["export_id"])
        async with acquire(pool) as conn, conn.transaction(isolation="repeatable_read"):
            await take_time(conn)  # the audit log of a large municipality, for one
            resident_id = await data_exports.hold_export(conn, municipality_id=municipality_id, id=id)
            if resident_id is None:
                return
            number = 0
            async for part in _parts(conn, municipality_id=municipality_id, resident_id=resident_id):
                await data_exports.add_part(conn, municipality_id=municipality_id, id=id, number=number, content=part)
                number += 1
            await data_exports.finish_export(conn, municipality_id=municipality_id, id=id, days=days)

    return run


async def _parts(conn: Connection, **whose: UUID) -> AsyncGenerator[bytes, None]:
    part = bytearray()
    async for piece in _document(conn, **whose):
        part += piece
        if len(part) >= PART_BYTES:
            yield bytes(part)
            part.clear()
    yield bytes(part)


async def _document(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> AsyncGenerator[bytes, None]:
    made_at = orjson.dumps(datetime.now(UTC))
    yield b'{"municipalityId":"%s","madeAt":%s' % (str(municipality_id).encode(), made_at)
    for name in SECTIONS:
        yield b',\n"%s":[' % _camel(name).encode()
        before = b"\n"
        async for row in data_exports.section(conn, name, municipality_id=municipality_id, resident_id=resident_id):
            yield before + row.encode()
            before = b",\n"
        yield b"]"
    yield b"}\n"


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
