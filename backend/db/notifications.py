"""What residents were told of what happened in what they follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.cursors import Place
from backend.db.pages import Page, PageRequest, page
from backend.db.pool import LONG_SECONDS, Connection
from backend.db.statements import statements
from backend.provenance import note_private

SQL = statements("notifications")
_AFTER_ALL: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """`response_id` is None where only the status changed."""

    id: UUID
    kind: str
    idea_id: UUID
    response_id: UUID | None
    created_at: datetime
    read_at: datetime | None

    @property
    def place(self) -> Place:
        return Place(0, self.id)


async def notify_followers(
    conn: Connection,
    *,
    municipality_id: UUID,
    idea_id: UUID,
    event_id: UUID,
    actor_id: UUID | None,
    response_id: UUID | None,
    status_changed: bool,
    beyond: UUID,
    limit: int,
) -> list[UUID]:
    """Tells the next `limit` followers whose ids are greater than `beyond`, at most once each; who they are."""
    rows = await conn.fetch(
        SQL["notify_followers"],
        municipality_id,
        idea_id,
        event_id,
        actor_id,
        response_id,
        status_changed,
        beyond,
        limit,
    )
    return [row[0] for row in rows]


async def notifications_by_id(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, NotificationRow]:
    """Those of `ids` that are the resident's own."""
    note_private()
    rows = await conn.fetch(SQL["notifications_by_id"], municipality_id, resident_id, ids)
    return {row[0]: NotificationRow(*row) for row in rows}


async def notification_page(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, unread_only: bool, request: PageRequest
) -> Page[NotificationRow]:
    """Newest first; read forwards only."""
    note_private()
    statement = SQL["unread_notification_page" if unread_only else "notification_page"]
    beyond = request.beyond.id if request.beyond else _AFTER_ALL
    rows = await conn.fetch(statement, municipality_id, resident_id, beyond, request.limit + 1)
    return page([NotificationRow(*row) for row in rows], request)


async def notifications_since(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, since: UUID
) -> list[NotificationRow]:
    """Oldest first, from the id `since` on."""
    note_private()
    rows = await conn.fetch(SQL["notifications_since"], municipality_id, resident_id, since)
    return [NotificationRow(*row) for row in rows]


async def id_of_now(conn: Connection) -> UUID:
    """An id as PostgreSQL makes them at this moment, by its clock."""
    made: UUID = await conn.fetchval(SQL["id_of_now"])
    return made


async def unread_count(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> int:
    note_private()
    count: int = await conn.fetchval(SQL["unread_count"], municipality_id, resident_id)
    return count


async def mark_notifications_read(conn: Connection, *, municipality_id: UUID, resident_id: UUID, up_to: UUID) -> bool:
    """Whether `up_to` is one of the resident's; where not, nothing was changed."""
    found: bool = await conn.fetchval(SQL["mark_notifications_read"], municipality_id, resident_id, up_to)
    return found


async def prune_notifications(conn: Connection, *, days: int, limit: int) -> int:
    """Forgets some of those that are older; how many."""
    done = await conn.execute(SQL["prune_notifications"], days, limit, timeout=LONG_SECONDS)
    return int(done.split()[-1])
