"""Following."""

from datetime import datetime

import strawberry

from backend.db.follows import FollowRow
from backend.db.pages import Page
from backend.fields import field
from backend.schema.errors import ERRORS, UserError
from backend.schema.ideas import idea
from backend.schema.nodes import Followable
from backend.schema.pages import EDGES, NODE, NODES, Connection, Edge


@strawberry.type(description="Something followed, in a list.")
class FollowEdge(Edge):
    node: Followable = strawberry.field(description=NODE)
    followed_at: datetime = strawberry.field(description="Since when.")


@strawberry.type(description="A page of what somebody follows.")
class FollowConnection(Connection):
    edges: list[FollowEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[Followable]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="The subject as it now is, or why not.")
class SetFollowPayload:
    subject: Followable | None = strawberry.field(default=None, description="What it is about; null where refused.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="Whether the caller follows something.")
class SetFollowInput:
    subject_id: strawberry.ID = strawberry.field(description="What to follow: an idea.")
    following: bool = strawberry.field(description="Whether to follow it. Repeating the same changes nothing.")


def follow_connection(page: Page[FollowRow], binding: str) -> FollowConnection:
    edges = [
        FollowEdge(place=row.place, binding=binding, node=idea(row.idea), followed_at=row.followed_at)
        for row in page.rows
    ]
    return FollowConnection(ends=edges, has_previous=page.has_previous, has_next=page.has_next, edges=edges)
