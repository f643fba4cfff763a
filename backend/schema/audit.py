"""The audit log as administrators see it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from backend.context import Info
from backend.db.audit import EntryRow
from backend.db.pages import Page
from backend.fields import batched, field, from_row
from backend.ids import global_id
from backend.schema.pages import EDGES, NODE, NODES, Connection, Edge
from backend.schema.residents import Resident, resident


@strawberry.type(description="An act of staff, a change of rights, or something the service did by itself.")
class AuditEntry:
    row: strawberry.Private[EntryRow]
    subject_type: strawberry.Private[str | None]
    sequence: int = from_row("Its number in the municipality's chain, from 1 on without gaps.")
    at: datetime = from_row("When it was written.")
    act: str = from_row("What was done, e.g. ROLE_GRANTED.")
    details: str = from_row("More about it, as an object of JSON: ids, codes and numbers, never what people wrote.")
    hash: str = from_row("SHA-256 over it and the hash of the entry before, in hexadecimal.", bytes.hex)

    @batched("Who did it; null for the command line, for jobs, and for who has been forgotten.")
    @staticmethod
    async def actor(entries: Sequence["AuditEntry"], info: Info) -> list[Resident | None]:
        names = await info.context.read.names(entry.row.actor_id for entry in entries)
        return [_named(entry.row.actor_id, names) for entry in entries]

    @field("To whom or what, as an id of this service; null where there is nothing of the kind.")
    def subject_id(self) -> strawberry.ID | None:
        if self.row.subject_id is None or self.subject_type is None:
            return None
        return strawberry.ID(global_id(self.subject_type, self.row.subject_id))


@strawberry.type(description="An audit entry in a list.")
class AuditEntryEdge(Edge):
    node: AuditEntry = strawberry.field(description=NODE)


@strawberry.type(description="A page of the audit log.")
class AuditEntryConnection(Connection):
    edges: list[AuditEntryEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[AuditEntry]:
        return [edge.node for edge in self.edges]


def audit_entry_connection(page: Page[EntryRow], types: Mapping[UUID, str], binding: str) -> AuditEntryConnection:
    edges = [
        AuditEntryEdge(
            place=row.place,
            binding=binding,
            node=AuditEntry(row=row, subject_type=types.get(row.subject_id) if row.subject_id else None),
        )
        for row in page.rows
    ]
    return AuditEntryConnection(ends=edges, has_previous=page.has_previous, has_next=page.has_next, edges=edges)


def _named(id: UUID | None, names: Mapping[UUID, str]) -> Resident | None:
    return resident(id, names[id]) if id and id in names else None
