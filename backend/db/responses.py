"""What the municipality said and did about ideas."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.cursors import Place
from backend.db.pages import Page, PageRequest, pages_by_parent
from backend.db.pool import Connection
from backend.db.statements import statements
from backend.provenance import note_private, note_rows
from backend.viewer import NOBODY, Viewer

SQL = statements("responses")


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """`department_id` is the one that owned the case when it was said."""

    id: UUID
    idea_id: UUID
    kind: str
    body: str
    reasons: str | None
    next_step: str | None
    next_step_due_at: datetime | None
    official_id: UUID
    department_id: UUID
    to_department_id: UUID | None
    to_official_id: UUID | None
    status_after: str
    created_at: datetime

    @property
    def place(self) -> Place:
        return Place(0, self.id)


async def acting_official(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> UUID | None:
    official_id: UUID | None = await conn.fetchval(SQL["acting_official"], municipality_id, resident_id)
    return official_id


async def respond_to_idea(
    conn: Connection,
    *,
    municipality_id: UUID,
    idea_id: UUID,
    kind: str,
    body: str,
    reasons: str | None,
    next_step: str | None,
    next_step_due_at: datetime | None,
    official_id: UUID,
    to_department_id: UUID | None,
    to_official_id: UUID | None,
    status: str,
    department_id: UUID,
    post_id: UUID,
) -> UUID:
    """Appends a response to a locked idea, which is of `status`, `department_id` and `post_id` from then on.

    Raises ForeignKeyViolationError `responses_status_transition` and CheckViolationError `responses_reasons_required`
    for what `rules/responses.py` would have refused.
    """
    made: UUID = await conn.fetchval(
        SQL["respond_to_idea"],
        municipality_id,
        idea_id,
        kind,
        body,
        reasons,
        next_step,
        next_step_due_at,
        official_id,
        to_department_id,
        to_official_id,
        status,
        department_id,
        post_id,
    )
    return made


async def responses_by_id(
    conn: Connection, *, municipality_id: UUID, viewer: Viewer, ids: Sequence[UUID]
) -> dict[UUID, ResponseRow]:
    """Those of `ids` whose ideas the viewer may see."""
    rows = await conn.fetch(SQL["responses_by_id"], municipality_id, viewer.moderates, viewer.id, ids)
    note_rows(*(row[1] for row in rows))
    if len(rows) < len(set(ids)):
        note_private()  # of which idea a missing one is, and so when it is seen again, isn't known here
    return {row[0]: ResponseRow(*row) for row in rows}


async def latest_responses(
    conn: Connection, *, municipality_id: UUID, idea_ids: Sequence[UUID]
) -> dict[UUID, ResponseRow]:
    """By idea; those without any are left out."""
    note_rows(*idea_ids)
    rows = [ResponseRow(*row) for row in await conn.fetch(SQL["latest_responses"], municipality_id, idea_ids)]
    return {row.idea_id: row for row in rows}


async def response_pages(
    conn: Connection, *, municipality_id: UUID, idea_ids: Sequence[UUID], request: PageRequest
) -> list[Page[ResponseRow]]:
    """One page for each of `idea_ids`, oldest first; in one statement."""
    note_rows(*idea_ids)
    beyond = request.beyond.id if request.beyond else NOBODY
    rows = await conn.fetch(SQL["response_pages"], municipality_id, idea_ids, beyond, request.limit + 1)
    numbered = [(row[0] - 1, ResponseRow(*list(row)[1:])) for row in rows]
    return pages_by_parent(numbered, len(idea_ids), request)
