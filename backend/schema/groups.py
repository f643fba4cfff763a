"""Groups as clients see them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from backend.context import Info
from backend.db.groups import GroupRow
from backend.db.pages import Page
from backend.rules.groups import MEMBERS
from backend.schema.enums import GroupKind, GroupRole, IdeaOrder
from backend.schema.errors import ERRORS, UserError
from backend.schema.fields import field
from backend.schema.nodes import Author, Node, node_id
from backend.schema.pages import EDGES, NODE, NODES, After, Connection, Edge, First, page_request
from backend.schema.residents import Resident, resident

if TYPE_CHECKING:
    from backend.schema.ideas import IdeaConnection


@strawberry.type(description="Somebody in a group, or who asked to be.")
class GroupMemberEdge(Edge):
    node: Resident = strawberry.field(description="Who.")
    role: GroupRole = strawberry.field(description="What they are in the group.")
    joined_at: datetime = strawberry.field(
        description="When they joined, or were approved; while PENDING, when they asked."
    )


@strawberry.type(description="A page of a group's members.")
class GroupMemberConnection(Connection):
    edges: list[GroupMemberEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[Resident]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="People who act together: a registered association or informal, with the same rights.")
class Group(Node, Author):
    row: strawberry.Private[GroupRow]
    kind: GroupKind = strawberry.field(description="Whether it is a registered association.")
    description: str = strawberry.field(description="What it does, in plain text; may be empty.")
    approves_members: bool = strawberry.field(
        description="Whether joining needs a contact's approval. REGISTERED groups always do."
    )
    member_count: int = strawberry.field(description="Members and contacts; those PENDING are not counted.")

    @field("Who is in it, longest first, for its members; null for everybody else. Contacts also see those PENDING.")
    async def members(self, info: Info, first: First = None, after: After = None) -> GroupMemberConnection | None:
        binding = f"group.members:{self.row.id}"
        request = page_request(info, binding, first=first, after=after)
        if await _viewer_role(info, self.row.id) not in MEMBERS:
            return None
        page = await info.context.load.group_members.load((self.row.id, request))
        edges = [
            GroupMemberEdge(
                place=row.place,
                binding=binding,
                node=resident(row.resident_id, row.display_name),
                role=GroupRole(row.role),
                joined_at=row.joined_at,
            )
            for row in page.rows
        ]
        return GroupMemberConnection(ends=edges, has_previous=page.has_previous, has_next=page.has_next, edges=edges)

    @field("The ideas it owns, alone or together with other groups.")
    async def ideas(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        order_by: Annotated[IdeaOrder, strawberry.argument(description="In which order.")] = IdeaOrder.NEWEST,
    ) -> Annotated["IdeaConnection", strawberry.lazy("backend.schema.ideas")] | None:
        from backend.schema.ideas import idea_connection

        binding = f"group.ideas:{self.row.id}:{order_by}"
        request = page_request(info, binding, first=first, after=after)
        page = await info.context.load.group_ideas(order_by).load((self.row.id, request))
        return idea_connection(page, binding)

    @field("What the caller is in it; null where nothing.")
    async def viewer_role(self, info: Info) -> GroupRole | None:
        role = await _viewer_role(info, self.row.id)
        return GroupRole(role) if role else None


@strawberry.type(description="A group in a list.")
class GroupEdge(Edge):
    node: Group = strawberry.field(description=NODE)


@strawberry.type(description="A page of groups.")
class GroupConnection(Connection):
    edges: list[GroupEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[Group]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="The group as it now is, or why not.")
class GroupPayload:
    group: Group | None = strawberry.field(default=None, description="The group; null where refused.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="Which groups a list holds: those that fit all that is given.")
class GroupFilter:
    kind: GroupKind | None = strawberry.field(default=None, description="Only such groups.")
    search: str | None = strawberry.field(
        default=None, description="Part of the name, in any case. At most 200 characters."
    )


@strawberry.input(description="A new group. The caller becomes its contact.")
class CreateGroupInput:
    display_name: str = strawberry.field(description="The name shown in public: 1 to 60 characters.")
    kind: GroupKind = strawberry.field(description="Whether it is a registered association.")
    description: str = strawberry.field(default="", description="What it does, in plain text: up to 2,000 characters.")
    approves_members: bool = strawberry.field(
        default=False, description="Whether joining needs a contact's approval. True for REGISTERED groups in any case."
    )
    idempotency_key: str = strawberry.field(
        description="A UUID made for this call: the same key gives the same group for at least seven days."
    )


@strawberry.input(description="A group to join.")
class JoinGroupInput:
    group_id: strawberry.ID = strawberry.field(description="The group.")


@strawberry.input(description="Somebody to let into a group.")
class ApproveMemberInput:
    group_id: strawberry.ID = strawberry.field(description="The group, of which the caller is a contact.")
    resident_id: strawberry.ID = strawberry.field(description="Who asked to join.")


@strawberry.input(description="A group to leave.")
class LeaveGroupInput:
    group_id: strawberry.ID = strawberry.field(description="The group.")


def group(row: GroupRow) -> Group:
    return Group(
        id=node_id("Group", row.id),
        row=row,
        display_name=row.display_name,
        kind=GroupKind(row.kind),
        description=row.description,
        approves_members=row.approves_members,
        member_count=row.member_count,
    )


def group_connection(page: Page[GroupRow], binding: str) -> GroupConnection:
    edges = [GroupEdge(place=row.place, binding=binding, node=group(row)) for row in page.rows]
    return GroupConnection(ends=edges, has_previous=page.has_previous, has_next=page.has_next, edges=edges)


async def _viewer_role(info: Info, group_id: UUID) -> str | None:
    """What the caller is in a group; None where nothing, and for callers without an account."""
    if info.context.viewer.resident_id is None:
        return None
    return await info.context.load.viewer_group_role.load(group_id)
