"""Accounts and their roles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from backend.db.pool import Connection
from backend.db.statements import statements
from backend.provenance import note_private, note_rows

SQL = statements("residents")


@dataclass(frozen=True, slots=True)
class ResidentRow:
    """`roles` beside RESIDENT, which every account has."""

    id: UUID
    display_name: str
    strength: str
    official_id: UUID | None
    roles: tuple[str, ...]
    locale: str


async def register_resident(
    conn: Connection, *, municipality_id: UUID, display_name: str, locale: str, strength: str
) -> UUID:
    made: UUID = await conn.fetchval(SQL["register_resident"], municipality_id, display_name, locale, strength)
    return made


async def resident_by_id(conn: Connection, *, municipality_id: UUID, id: UUID) -> ResidentRow | None:
    note_private()
    row = await conn.fetchrow(SQL["resident"], municipality_id, id)
    return ResidentRow(row[0], row[1], row[2], row[3], tuple(row[4]), row[5]) if row else None


async def update_profile(
    conn: Connection, *, municipality_id: UUID, id: UUID, display_name: str | None, locale: str | None
) -> None:
    """None keeps what is there."""
    await conn.execute(SQL["update_profile"], municipality_id, id, display_name, locale)


async def display_names(conn: Connection, *, municipality_id: UUID, ids: Sequence[UUID]) -> dict[UUID, str]:
    names = {row[0]: row[1] for row in await conn.fetch(SQL["residents_by_id"], municipality_id, ids)}
    note_rows(*names)
    if len(names) < len(set(ids)):
        note_private()  # new accounts are in no feed
    return names


async def roles(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> frozenset[str]:
    return frozenset(row[0] for row in await conn.fetch(SQL["roles"], municipality_id, resident_id))


async def seat_official(
    conn: Connection,
    *,
    municipality_id: UUID,
    department_id: UUID,
    titles: Mapping[str, str],
    name: str,
    locale: str,
    strength: str,
) -> UUID:
    """A new post at the end of a department, with a holder; the holder's account. Raises CheckViolationError
    `posts_at_most_200`."""
    made: UUID = await conn.fetchval(
        SQL["seat_official"], municipality_id, department_id, dict(titles), name, locale, strength
    )
    return made
