"""Copies of what is held on people: asked for, made, fetched once."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from backend.db.pool import LONG_SECONDS, Connection, Pool, acquire
from backend.db.statements import statements
from backend.provenance import note_private

SQL = statements("data_exports")
SECTIONS: Final = statements("personal_data")
MOST_KEPT: Final = 30  # one a day, forgotten after 30 days
ROWS_AT_ONCE: Final = 200  # an idea may have 10,000 letters


@dataclass(frozen=True, slots=True)
class DataExportRow:
    id: UUID
    requested_at: datetime
    ready_at: datetime | None
    expires_at: datetime | None
    taken_at: datetime | None

    @property
    def status(self) -> str:
        if self.expires_at is None:
            return "PENDING"
        return "EXPIRED" if self.taken_at or self.expires_at <= datetime.now(UTC) else "READY"


async def new_export_id(conn: Connection) -> UUID:
    made: UUID = await conn.fetchval(SQL["new_export_id"])
    return made


async def requested_lately(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> bool:
    """Whether within the last day; it holds until the transaction ends."""
    await conn.execute(SQL["lock_requests"], municipality_id, resident_id)
    asked: bool = await conn.fetchval(SQL["requested_lately"], municipality_id, resident_id)
    return asked


async def request_export(
    conn: Connection, *, municipality_id: UUID, id: UUID, resident_id: UUID, secret_hash: bytes
) -> None:
    await conn.execute(SQL["request_export"], municipality_id, id, resident_id, secret_hash)


async def exports_of(conn: Connection, *, municipality_id: UUID, resident_id: UUID, limit: int) -> list[DataExportRow]:
    note_private()
    return [DataExportRow(*row) for row in await conn.fetch(SQL["exports_of"], municipality_id, resident_id, limit)]


async def hold_export(conn: Connection, *, municipality_id: UUID, id: UUID) -> UUID | None:
    """Of whom a copy is to be made; None where nothing is to be done any more."""
    whose: UUID | None = await conn.fetchval(SQL["hold_export"], municipality_id, id)
    return whose


async def section(
    conn: Connection, name: str, *, municipality_id: UUID, resident_id: UUID
) -> AsyncGenerator[str, None]:
    """What is held of one kind, an object of JSON at a time; inside a transaction."""
    cursor = conn.cursor(SECTIONS[name], municipality_id, resident_id, prefetch=ROWS_AT_ONCE, timeout=LONG_SECONDS)
    async for row in cursor:
        yield row[0]


async def add_part(conn: Connection, *, municipality_id: UUID, id: UUID, number: int, content: bytes) -> None:
    await conn.execute(SQL["add_part"], municipality_id, id, number, content)


async def finish_export(conn: Connection, *, municipality_id: UUID, id: UUID, days: int) -> None:
    await conn.execute(SQL["finish_export"], municipality_id, id, days)


async def take_export(conn: Connection, *, municipality_id: UUID, resident_id: UUID, secret_hash: bytes) -> UUID | None:
    """The export that its owner may fetch now, and never again; None where there is none."""
    taken: UUID | None = await conn.fetchval(SQL["take_export"], municipality_id, resident_id, secret_hash)
    return taken


async def parts(pool: Pool, *, municipality_id: UUID, id: UUID) -> AsyncGenerator[bytes, None]:
    """A document that was taken, piece by piece, without holding a connection meanwhile; removed at the end."""
    number = 0
    while True:
        async with acquire(pool) as conn:
            content: bytes | None = await conn.fetchval(SQL["part"], municipality_id, id, number)
            if content is None:
                await conn.execute(SQL["drop_parts"], municipality_id, id)
                return
        yield content
        number += 1


async def prune(conn: Connection) -> None:
    await conn.execute(SQL["prune_parts"], timeout=LONG_SECONDS)
    await conn.execute(SQL["prune_exports"], timeout=LONG_SECONDS)
