"""Makes the copy that a person asked for of all that is held on them: one document of JSON, in pieces.

All of it is of one moment, and no more than a piece is in memory. Killed anywhere it begins anew; run twice it does
nothing the second time.
"""

from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import orjson

from backend.auth.export_secret import export_secret
from backend.db import data_exports, identities, residents
from backend.db.data_exports import SECTIONS
from backend.db.pool import Connection, Pool, acquire, take_time
from backend.jobs.queue import Job, Payload, enqueue
from backend.jobs.send_mail import send_mail
from backend.mail.addresses import BadAddress
from backend.settings import Settings

NAME: Final = "export_data"
PART_BYTES: Final = 256 * 1024


async def ask_export(conn: Connection, *, municipality_id: UUID, export_id: UUID) -> None:
    """Has it made once the transaction of `conn` is committed."""
    await enqueue(conn, NAME, {"municipality_id": municipality_id, "export_id": export_id})


def export_data(pool: Pool, settings: Settings) -> Job:
    """The job, for a worker with this pool."""

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
            await data_exports.finish_export(conn, municipality_id=municipality_id, id=id, days=settings.export_days)
            await _tell(conn, settings, municipality_id=municipality_id, resident_id=resident_id, id=id)

    return run


async def _tell(conn: Connection, settings: Settings, *, municipality_id: UUID, resident_id: UUID, id: UUID) -> None:
    """By mail, where there are an address and a way."""
    row = await residents.resident_by_id(conn, municipality_id=municipality_id, id=resident_id)
    if row is None or not settings.mail_configured:
        return
    key = settings.secret_key.get_secret_value().encode()
    for address in await identities.emails(conn, municipality_id=municipality_id, resident_id=resident_id):
        with suppress(BadAddress):  # the copy is in the app all the same
            await send_mail(
                conn,
                settings,
                municipality_id=municipality_id,
                to=address,
                template="export_ready",
                locale=row.locale,
                values={"secret": export_secret(key, municipality_id=municipality_id, export_id=id)},
                expires_at=datetime.now(UTC) + timedelta(days=settings.export_days),
            )


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
