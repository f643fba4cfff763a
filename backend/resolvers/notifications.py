"""What the caller is told, read and as it comes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final
from uuid import UUID

from backend.context import Context, Info
from backend.db import notifications
from backend.db.notifications import NotificationRow
from backend.db.pool import acquire, transaction
from backend.errors import Refusal
from backend.resolvers.inputs import id_in
from backend.schema.notifications import (
    MarkNotificationsReadInput,
    MarkNotificationsReadPayload,
    Notification,
    notification,
)

# Ids are made before their rows are committed: a row may still appear among ids this much older than the newest seen.
_LATE: Final = 60_000 << 80  # a minute, in the milliseconds at the top of a UUIDv7


async def mark_notifications_read(info: Info, input: MarkNotificationsReadInput) -> MarkNotificationsReadPayload:
    context, up_to = info.context, id_in("Notification", input.up_to, field="upTo")
    owner = {"municipality_id": context.municipality_id, "resident_id": context.viewer.id}
    async with transaction(context.pool) as conn:
        if not await notifications.mark_notifications_read(conn, **owner, up_to=up_to):
            raise Refusal("NOT_FOUND", "upTo")
        count = await notifications.unread_count(conn, **owner)
    return MarkNotificationsReadPayload(unread_count=count)


async def notification_received(info: Info) -> AsyncGenerator[Notification, None]:
    """Each notification committed from now on, once. What stands already is in the caller's list."""
    context = info.context
    async with acquire(context.pool) as conn:
        newest = await notifications.id_of_now(conn)
    seen = {row.id for row in await _since(context, newest)}
    # The first wake-up comes at once, so nothing is lost between this reading and the first listening.
    async with aclosing(context.services.hub.notifications(context.municipality_id, context.viewer.id)) as wakes:
        async for _ in wakes:
            rows = await _since(context, newest)
            for row in rows:
                if row.id not in seen:
                    yield notification(row)
            seen = {row.id for row in rows}
            newest = max([newest, *seen])


async def _since(context: Context, newest: UUID) -> list[NotificationRow]:
    async with acquire(context.pool) as conn:
        return await notifications.notifications_since(
            conn,
            municipality_id=context.municipality_id,
            resident_id=context.viewer.id,
            since=UUID(int=newest.int - _LATE),
        )
