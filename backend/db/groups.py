"""Groups, and who is in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from backend.cursors import Place
from backend.db.pages import Page, PageRequest, page, pages_by_parent
from backend.db.pool import Connection
from backend.db.statements import statements
from backend.provenance import ANY, groups_of, note_private, note_rows, noted
from backend.viewer import Viewer

SQL = statements("groups")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class GroupRow:
    """`member_count` is without those PENDING."""

    id: UUID
    display_name: str
    kind: str
    description: str
    approves_members: bool
    member_count: int

    @property
    def place(self) -> Place:
        return Place(0, self.id)


@dataclass(frozen=True, slots=True)
class MemberRow:
    """`joined_at` is when somebody asked to join, or was approved where approval was needed."""

    resident_id: UUID
    display_name: str
    role: str
    joined_at: datetime

    @property
    def place(self) -> Place:
        return Place((self.joined_at - _EPOCH) // _MICROSECOND, self.resident_id)


async def groups_by_id(conn: Connection, *, municipality_id: UUID, ids: Sequence[UUID]) -> dict[UUID, GroupRow]:
    note_rows(*ids)
    rows = await conn.fetch(SQL["groups_by_id"], municipality_id, ids)
    return {row[0]: GroupRow(*row) for row in rows}


async def groups_of_ideas(
    conn: Connection, *, municipality_id: UUID, idea_ids: Sequence[UUID]
) -> dict[UUID, list[GroupRow]]:
    """The groups that own ideas together, by idea; the one that threw it first."""
    owners: dict[UUID, list[GroupRow]] = {}
    for row in await conn.fetch(SQL["groups_of_ideas"], municipality_id, idea_ids):
        owners.setdefault(row[0], []).append(GroupRow(*list(row)[1:]))
    note_rows(*idea_ids, *(group.id for groups in owners.values() for group in groups))
    return owners


async def viewer_group_roles(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, group_ids: Sequence[UUID]
) -> dict[UUID, str]:
    """What a resident is in those of the groups that they are anything in."""
    note_private()
    rows = await conn.fetch(SQL["viewer_group_roles"], municipality_id, resident_id, group_ids)
    return {row[0]: row[1] for row in rows}


async def group_page(
    conn: Connection, *, municipality_id: UUID, kind: str | None, search: str | None, request: PageRequest
) -> Page[GroupRow]:
    """Newest first. `search` is any part of the name, in any case; None asks for nothing."""
    literal = search and re.sub(r"([\\%_])", r"\\\1", search)
    after = request.beyond and request.beyond.id
    rows = await conn.fetch(SQL["group_page"], municipality_id, kind, literal, after, request.limit + 1)
    if sources := noted():
        note_rows(*(row[0] for row in rows))
        sources.add_list(groups_of(municipality_id), ANY)
    return page([GroupRow(*row) for row in rows], request)


async def viewer_group_page(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, request: PageRequest
) -> Page[GroupRow]:
    """The groups a resident is a contact or member of or has asked to join, newest group first."""
    note_private()
    after = request.beyond and request.beyond.id
    rows = await conn.fetch(SQL["viewer_group_page"], municipality_id, resident_id, after, request.limit + 1)
    return page([GroupRow(*row) for row in rows], request)


async def member_pages(
    conn: Connection, *, municipality_id: UUID, viewer: Viewer, group_ids: Sequence[UUID], request: PageRequest
) -> list[Page[MemberRow]]:
    """Of each group who is in it, longest first; nobody where the viewer is no member. Contacts see requests too."""
    note_private()
    joined_at, resident_id = None, UUID(int=0)
    if request.beyond:
        joined_at, resident_id = _EPOCH + request.beyond.key * _MICROSECOND, request.beyond.id
    rows = await conn.fetch(
        SQL["member_pages"], municipality_id, viewer.id, group_ids, joined_at, resident_id, request.limit + 1
    )
    return pages_by_parent([(row[0] - 1, MemberRow(*list(row)[1:])) for row in rows], len(group_ids), request)


async def groups_created_lately(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> int:
    """How many groups a resident created in the last 24 hours; the number holds until the transaction ends."""
    await conn.execute(SQL["lock_creations"], municipality_id, resident_id)
    count: int = await conn.fetchval(SQL["groups_created_lately"], municipality_id, resident_id)
    return count


async def create_group(
    conn: Connection,
    *,
    municipality_id: UUID,
    creator_id: UUID,
    display_name: str,
    kind: str,
    description: str,
    approves_members: bool,
) -> UUID:
    """A group with its creator as contact."""
    group_id: UUID = await conn.fetchval(
        SQL["create_group"], municipality_id, creator_id, display_name, kind, description, approves_members
    )
    return group_id


async def group_for_update(conn: Connection, *, municipality_id: UUID, id: UUID) -> GroupRow | None:
    """The group, locked until the transaction ends; what the functions below need first."""
    row = await conn.fetchrow(SQL["group_for_update"], municipality_id, id)
    return GroupRow(*row) if row else None


async def group_roles(
    conn: Connection, *, municipality_id: UUID, group_id: UUID, resident_ids: Sequence[UUID]
) -> dict[UUID, str]:
    """What those of the residents who are anything in the group are, by resident."""
    rows = await conn.fetch(SQL["group_roles"], municipality_id, group_id, resident_ids)
    return {row[0]: row[1] for row in rows}


async def has_other_contact(conn: Connection, *, municipality_id: UUID, group_id: UUID, resident_id: UUID) -> bool:
    found: bool = await conn.fetchval(SQL["has_other_contact"], municipality_id, group_id, resident_id)
    return found


async def join_group(conn: Connection, *, municipality_id: UUID, group_id: UUID, resident_id: UUID, role: str) -> None:
    await conn.execute(SQL["join_group"], municipality_id, group_id, resident_id, role)


async def approve_member(conn: Connection, *, municipality_id: UUID, group_id: UUID, resident_id: UUID) -> None:
    await conn.execute(SQL["approve_member"], municipality_id, group_id, resident_id)


async def leave_group(conn: Connection, *, municipality_id: UUID, group_id: UUID, resident_id: UUID) -> None:
    await conn.execute(SQL["leave_group"], municipality_id, group_id, resident_id)
