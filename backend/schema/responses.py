"""What the municipality says about an idea, in public and for good."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import strawberry

from backend.context import Info
from backend.db.pages import Page
from backend.db.responses import ResponseRow
from backend.fields import batched, field, from_row
from backend.schema.enums import IdeaStatus, ResponseKind
from backend.schema.errors import ERRORS, UserError
from backend.schema.ideas import Idea, idea_of
from backend.schema.municipalities import Department, Official, department, official
from backend.schema.nodes import ID, Node, node_id
from backend.schema.pages import EDGES, NODE, NODES, Connection, Edge


@strawberry.type(description="Something the municipality said or did about an idea. Never changed or removed.")
class Response(Node):
    row: strawberry.Private[ResponseRow]
    id: strawberry.ID = from_row(ID, partial(node_id, "Response"))
    kind: ResponseKind = from_row("What it does.", ResponseKind)
    body: str = from_row("What is said, in plain text.")
    reasons: str | None = from_row("Why. There for every DECISION and whatever ends in DECLINED.")
    next_step: str | None = from_row("What the municipality does next.")
    next_step_due_at: datetime | None = from_row("Until when it does that.")
    status_after: IdeaStatus = from_row("The idea's status from then on.", IdeaStatus)
    created_at: datetime = from_row("When it was given.")

    @batched("The idea it is about.")
    @staticmethod
    async def idea(responses: Sequence["Response"], info: Info) -> list[Idea | None]:
        rows = await info.context.read.ideas(response.row.idea_id for response in responses)
        return [idea_of(rows, response.row.idea_id) for response in responses]

    @field("Who gave it, also where they have left office since.")
    async def official(self, info: Info) -> Official:
        await info.context.official(self.row.official_id)
        return official(info, info.context.catalogue.officials[self.row.official_id])

    @field("The department that owned the case when it was given.")
    def department(self, info: Info) -> Department:
        return department(info, info.context.catalogue.departments[self.row.department_id])

    @field("Where a TRANSFER took the case.")
    def to_department(self, info: Info) -> Department | None:
        to = self.row.to_department_id
        return department(info, info.context.catalogue.departments[to]) if to else None

    @field("Who got the case by an ASSIGNMENT, or by a TRANSFER to somebody named.")
    async def to_official(self, info: Info) -> Official | None:
        row = await info.context.official(self.row.to_official_id) if self.row.to_official_id else None
        return official(info, row) if row else None


@strawberry.type(description="A response in a list.")
class ResponseEdge(Edge):
    node: Response = strawberry.field(description=NODE)


@strawberry.type(description="A page of responses.")
class ResponseConnection(Connection):
    edges: list[ResponseEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[Response]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="The response and the idea as it now is, or why not.")
class ResponsePayload:
    response: Response | None = strawberry.field(default=None, description="The response; null where refused.")
    idea: Idea | None = strawberry.field(default=None, description="The idea after it; null where refused.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="A response to an idea, by an official of the department that owns it or a coordinator.")
class RespondToIdeaInput:
    idea_id: strawberry.ID = strawberry.field(description="The idea.")
    kind: ResponseKind = strawberry.field(description="What the response does.")
    body: str = strawberry.field(description="What is said, in plain text: 1 to 10,000 characters.")
    reasons: str | None = strawberry.field(
        default=None,
        description="Why: up to 10,000 characters. Needed for every DECISION and for whatever ends in DECLINED.",
    )
    next_step: str | None = strawberry.field(
        default=None, description="What the municipality does next: up to 2,000 characters."
    )
    next_step_due_at: datetime | None = strawberry.field(default=None, description="Until when; not in the past.")
    new_status: IdeaStatus | None = strawberry.field(
        default=None,
        description="The idea's status from now on; left out, it stays. UNDER_REVIEW from OPEN by any response; "
        "PLANNED, TRIAL and DECLINED by a DECISION before the idea is DONE; DONE from these two by an OUTCOME; OPEN "
        "again from UNDER_REVIEW and DECLINED by a DECISION.",
    )
    to_department_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where a TRANSFER takes the case. Not with other kinds."
    )
    to_official_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Who gets the case by an ASSIGNMENT: somebody of the department that owns it. With a TRANSFER "
        "somebody of `toDepartmentId`; left out, whoever answers there for the idea's theme and district.",
    )
    expected_version: int | None = strawberry.field(
        default=None, description="The idea's `version` as last read: CONFLICT where it has changed since."
    )
    idempotency_key: str = strawberry.field(
        description="A UUID made for this call: the same key gives the same response for at least seven days."
    )


def response(row: ResponseRow) -> Response:
    """The response a row tells of. The row must have been read for this viewer."""
    return Response(row=row)


def response_connection(page: Page[ResponseRow], binding: str) -> ResponseConnection:
    edges = [ResponseEdge(place=row.place, binding=binding, node=response(row)) for row in page.rows]
    return ResponseConnection(ends=edges, has_previous=page.has_previous, has_next=page.has_next, edges=edges)
