"""The sessions of an account, as its owner sees and ends them. (What signing in gives is in `sessions.py`, which
leads to the viewer, who leads here.)"""

from datetime import datetime

import strawberry

from backend.context import Info
from backend.db.pages import Page
from backend.db.sessions import SessionRow
from backend.fields import field, from_row
from backend.schema.enums import SessionMethod
from backend.schema.errors import ERRORS, UserError
from backend.schema.nodes import Node, node_id
from backend.schema.pages import EDGES, NODE, NODES, Connection, Edge


@strawberry.type(description="A device that is signed in. Seen by the account's owner alone, until it ends.")
class Session(Node):
    row: strawberry.Private[SessionRow]
    method: SessionMethod = from_row("How it was begun.", SessionMethod)
    device_name: str | None = from_row("What the device was called when it was begun; null where nobody said.")
    created_at: datetime = from_row("When it was begun.")
    last_used_at: datetime = from_row("When it was last refreshed; while a device is in use, each 15 minutes or so.")
    expires_at: datetime = from_row("Until then it can be refreshed; every refresh moves it.")

    @field("Whether it is the one this request is made in.")
    def is_current(self, info: Info) -> bool:
        return self.row.id == info.context.viewer.session_id


@strawberry.type(description="A session in a list.")
class SessionEdge(Edge):
    node: Session = strawberry.field(description=NODE)


@strawberry.type(description="A page of sessions.")
class SessionConnection(Connection):
    edges: list[SessionEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[Session]:
        return [edge.node for edge in self.edges]


@strawberry.input(description="A session to end.")
class EndSessionInput:
    session_id: strawberry.ID = strawberry.field(description="One of the caller's own; the present one, too.")


@strawberry.input(description="Which sessions to end.")
class EndAllSessionsInput:
    except_current: bool = strawberry.field(
        default=True, description="Whether the one this request is made in goes on."
    )


@strawberry.type(description="Sessions that are over: within five seconds none of their tokens opens anything.")
class EndSessionsPayload:
    ended_session_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Their ids; null where refused."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


def session(row: SessionRow) -> Session:
    return Session(id=node_id("Session", row.id), row=row)


def session_connection(page: Page[SessionRow], binding: str) -> SessionConnection:
    edges = [SessionEdge(place=row.place, binding=binding, node=session(row)) for row in page.rows]
    return SessionConnection(ends=edges, has_previous=page.has_previous, has_next=page.has_next, edges=edges)
