"""Groups as clients see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from backend.context import Info
from backend.db.groups import GroupRow, MemberRow
from backend.db.ideas import PlacedIdea
from backend.db.pages import Page, PageRequest
from backend.fields import batched, field
from backend.rules.groups import MEMBERS
from backend.schema.enums import GroupKind, GroupRole, IdeaOrder
from backend.schema.errors import ERRORS, UserError
from backend.schema.nodes import Author, Node, node_id
from backend.schema.pages import EDGES, NODE, NODES, After, Connection, Edge, First, pages_below
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

    @batched("Who is in it, longest first, for its members; null for everybody else. Contacts also see those PENDING.")
    @staticmethod
    async def members(
        groups: Sequence["Group"], info: Info, first: First = None, after: After = None
    ) -> list[GroupMemberConnection | None]:
        ids, read = [each.row.id for each in groups], info.context.read
        pages = await pages_below(
            info, ids, "group.members", read.member_pages, _member_connection, first=first, after=after
        )
        roles = await read.viewer_group_roles(ids)
        return [
            page if roles.get(id) in MEMBERS or isinstance(page, Exception) else None
            for id, page in zip(ids, pages, strict=True)
        ]

    @batched("The ideas it owns, alone or together with other groups.")
    @staticmethod
    async def ideas(
        groups: Sequence["Group"],
        info: Info,
        first: First = None,
        after: After = None,
        order_by: Annotated[IdeaOrder, strawberry.argument(description="In which order.")] = IdeaOrder.NEWEST,
    ) -> list[Annotated["IdeaConnection", strawberry.lazy("backend.schema.ideas")] | None]:
        from backend.schema.ideas import idea_connection

        async def read(ids: Sequence[UUID], request: PageRequest) -> list[Page[PlacedIdea]]:
            return await info.context.read.group_idea_pages(ids, order_by, request)

        ids, binding = [each.row.id for each in groups], f"group.ideas:{order_by}"
        return await pages_below(info, ids, binding, read, idea_connection, first=first, after=after)

    @batched("What the caller is in it; null where nothing.")
    @staticmethod
    async def viewer_role(groups: Sequence["Group"], info: Info) -> list[GroupRole | None]:
        roles = await info.context.read.viewer_group_roles(each.row.id for each in groups)
        return [GroupRole(roles[each.row.id]) if each.row.id in roles else None for each in groups]


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


def _member_connection(page: Page[MemberRow], binding: str) -> GroupMemberConnection:
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
