"""Staff: who acts for the municipality, and who says so."""

from datetime import datetime

import strawberry

from backend.context import Info
from backend.db.pages import Page
from backend.db.roles import StaffRow
from backend.fields import field
from backend.schema.enums import IdentityStrength, Role
from backend.schema.errors import ERRORS, UserError
from backend.schema.municipalities import Official, official
from backend.schema.pages import EDGES, NODE, NODES, Connection, Edge
from backend.schema.residents import Resident, resident


@strawberry.type(description="A role that somebody has, on somebody's word.")
class HeldRole:
    role: Role = strawberry.field(description="Which.")
    source: str = strawberry.field(
        description="Who says so: ADMINISTRATOR, COMMAND (the command line), or the id of a login provider."
    )
    granted_at: datetime | None = strawberry.field(description="Since when; null for roles older than this was kept.")


@strawberry.type(description="An account with its roles.")
class StaffMember:
    row: strawberry.Private[StaffRow]
    resident: Resident = strawberry.field(description="The account, as others see it.")
    strength: IdentityStrength = strawberry.field(description="How well its owner is identified.")
    roles: list[HeldRole] = strawberry.field(
        description="Its roles beside RESIDENT; one that several sources speak for is there for each of them."
    )

    @field("The post-holder it acts as; null for all but officials and coordinators.")
    async def official(self, info: Info) -> Official | None:
        row = await info.context.official(self.row.official_id) if self.row.official_id else None
        return official(info, row) if row else None


@strawberry.type(description="An account in a list.")
class StaffEdge(Edge):
    node: StaffMember = strawberry.field(description=NODE)


@strawberry.type(description="A page of accounts with roles.")
class StaffConnection(Connection):
    edges: list[StaffEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[StaffMember]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="The account with the roles it now has, or why not.")
class RolePayload:
    member: StaffMember | None = strawberry.field(default=None, description="The account; null where refused.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="Which staff a list holds.")
class StaffFilter:
    role: Role | None = strawberry.field(default=None, description="Only those who have it.")


@strawberry.input(description="A role for somebody. Their next tokens carry it.")
class GrantRoleInput:
    resident_id: strawberry.ID = strawberry.field(description="The account; it must be identified by e-mail at least.")
    role: Role = strawberry.field(description="What they shall be, beside RESIDENT.")
    official_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Of an OFFICIAL or COORDINATOR the post-holder they act as; not needed where the account acts as "
        "one already.",
    )


@strawberry.input(description="A role that somebody shall not have any more, whoever gave it.")
class RevokeRoleInput:
    resident_id: strawberry.ID = strawberry.field(description="The account.")
    role: Role = strawberry.field(description="The role. The last administrator can't lose theirs.")


def staff_member(row: StaffRow) -> StaffMember:
    return StaffMember(
        row=row,
        resident=resident(row.id, row.display_name),
        strength=IdentityStrength(row.strength),
        roles=[HeldRole(role=Role(each.role), source=each.source, granted_at=each.granted_at) for each in row.held],
    )


def staff_connection(page: Page[StaffRow], binding: str) -> StaffConnection:
    edges = [StaffEdge(place=row.place, binding=binding, node=staff_member(row)) for row in page.rows]
    return StaffConnection(ends=edges, has_previous=page.has_previous, has_next=page.has_next, edges=edges)
