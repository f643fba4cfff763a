"""Invitations to roles."""

from datetime import datetime

import strawberry

from backend.context import Info
from backend.db.invitations import InvitationRow
from backend.db.pages import Page
from backend.fields import field, from_row
from backend.schema.enums import Role
from backend.schema.errors import ERRORS, UserError
from backend.schema.municipalities import Official, official
from backend.schema.nodes import node_id
from backend.schema.pages import EDGES, NODE, NODES, Connection, Edge
from backend.schema.residents import Resident, resident
from backend.schema.scalars import Locale


@strawberry.type(description="A role that waits for somebody to open a mailed link.")
class Invitation:
    row: strawberry.Private[InvitationRow]
    id: strawberry.ID = strawberry.field(description="For taking it back.")
    email: str = from_row("Where the link was sent.")
    role: Role = strawberry.field(description="What they will be.")
    created_at: datetime = from_row("When it was sent.")
    expires_at: datetime = from_row("Until then it can be accepted, once.")

    @field("The post-holder they will act as; null for all but officials and coordinators.")
    async def official(self, info: Info) -> Official | None:
        row = await info.context.official(self.row.official_id) if self.row.official_id else None
        return official(info, row) if row else None

    @field("The administrator who invites; null where the command line did.")
    def invited_by(self) -> Resident | None:
        if self.row.invited_by_id is None:
            return None
        return resident(self.row.invited_by_id, self.row.invited_by_name or "")


@strawberry.type(description="An invitation in a list.")
class InvitationEdge(Edge):
    node: Invitation = strawberry.field(description=NODE)


@strawberry.type(description="A page of invitations.")
class InvitationConnection(Connection):
    edges: list[InvitationEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[Invitation]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="The invitation that was sent, or why not.")
class InvitationPayload:
    invitation: Invitation | None = strawberry.field(
        default=None, description="Null where refused, and where it was accepted or withdrawn meanwhile."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.type(description="The invitation that was taken back, or why not.")
class WithdrawInvitationPayload:
    withdrawn_id: strawberry.ID | None = strawberry.field(default=None, description="Its id; null where refused.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="Somebody who shall have a role, by an address that is theirs.")
class InviteStaffInput:
    email: str = strawberry.field(description="Where the link goes. Who opens it signs in by this address.")
    role: Role = strawberry.field(description="What they shall be, beside RESIDENT.")
    official_id: strawberry.ID | None = strawberry.field(
        default=None, description="Of an OFFICIAL or COORDINATOR the post-holder they act as."
    )
    locale: Locale = strawberry.field(description="The language of the mail.")
    idempotency_key: str = strawberry.field(
        description="A UUID made for this call: the same key sends one mail for at least seven days."
    )


@strawberry.input(description="An invitation that shall open nothing any more.")
class WithdrawInvitationInput:
    invitation_id: strawberry.ID = strawberry.field(description="One that waits.")


@strawberry.input(description="An invitation taken up by whoever has the link.")
class AcceptInvitationInput:
    secret: str = strawberry.field(description="Out of the link's fragment: `#invitation=…`.")
    device_name: str | None = strawberry.field(
        default=None, description="What the owner knows the device by: up to 60 characters."
    )


def invitation(row: InvitationRow) -> Invitation:
    return Invitation(row=row, id=node_id("Invitation", row.id), role=Role(row.role))


def invitation_connection(page: Page[InvitationRow], binding: str) -> InvitationConnection:
    edges = [InvitationEdge(place=row.place, binding=binding, node=invitation(row)) for row in page.rows]
    return InvitationConnection(ends=edges, has_previous=page.has_previous, has_next=page.has_next, edges=edges)
