"""What the caller was told."""

from collections.abc import Sequence
from datetime import datetime

import strawberry

from backend.context import Info
from backend.db.notifications import NotificationRow
from backend.db.pages import Page
from backend.fields import batched, field
from backend.schema.enums import NotificationKind
from backend.schema.errors import ERRORS, UserError
from backend.schema.ideas import Idea, idea_of
from backend.schema.nodes import Node, node_id
from backend.schema.pages import EDGES, NODE, NODES, Connection, Edge
from backend.schema.responses import Response, response


@strawberry.type(description="Something that happened in what the caller follows. Seen by the caller alone.")
class Notification(Node):
    row: strawberry.Private[NotificationRow]
    kind: NotificationKind = strawberry.field(description="What happened.")
    created_at: datetime = strawberry.field(description="When the caller was told.")
    read_at: datetime | None = strawberry.field(description="When the caller marked it as read.")

    @batched("The idea it is about; null while the caller may not see it.")
    @staticmethod
    async def idea(notifications: Sequence["Notification"], info: Info) -> list[Idea | None]:
        rows = await info.context.read.ideas(each.row.idea_id for each in notifications)
        return [idea_of(rows, each.row.idea_id) for each in notifications]

    @batched("The response it is about; null where there was none, and while the caller may not see the idea.")
    @staticmethod
    async def response(notifications: Sequence["Notification"], info: Info) -> list[Response | None]:
        rows = await info.context.read.responses(each.row.response_id for each in notifications)
        ids = [each.row.response_id for each in notifications]
        return [response(rows[id]) if id in rows else None for id in ids]


@strawberry.type(description="A notification in a list.")
class NotificationEdge(Edge):
    node: Notification = strawberry.field(description=NODE)


@strawberry.type(description="A page of notifications.")
class NotificationConnection(Connection):
    edges: list[NotificationEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[Notification]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="How many notifications are left to read, or why nothing was marked.")
class MarkNotificationsReadPayload:
    unread_count: int | None = strawberry.field(
        default=None, description="How many are not yet read now; null where refused."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="Notifications that were read.")
class MarkNotificationsReadInput:
    up_to: strawberry.ID = strawberry.field(description="The newest that was read: it and all older ones are marked.")


def notification(row: NotificationRow) -> Notification:
    return Notification(
        id=node_id("Notification", row.id),
        row=row,
        kind=NotificationKind(row.kind),
        created_at=row.created_at,
        read_at=row.read_at,
    )


def notification_connection(page: Page[NotificationRow], binding: str) -> NotificationConnection:
    edges = [NotificationEdge(place=row.place, binding=binding, node=notification(row)) for row in page.rows]
    return NotificationConnection(ends=edges, has_previous=page.has_previous, has_next=page.has_next, edges=edges)
