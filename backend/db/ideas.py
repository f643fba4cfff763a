"""Ideas: rows, pages in every order, and what changes them."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cache
from uuid import UUID

from backend.cursors import Place
from backend.db.pages import Page, PageRequest, pages_by_parent
from backend.db.pool import Connection
from backend.db.public_changes import next_due
from backend.db.statements import fill, statements
from backend.provenance import (
    ANY,
    OPEN,
    Span,
    ideas_of,
    note_private,
    note_rows,
    note_today,
    note_until,
    noted,
    votes_of,
)
from backend.viewer import Viewer

SQL = statements("ideas")


@dataclass(slots=True)  # not frozen, though nobody writes to it: a row of 30 columns would take four times as long
class IdeaRow:
    """`author_name` is the submitting resident's; `due_at` is in the year 9999 where nothing is due."""

    id: UUID
    number: int
    title: str
    body: str
    locale: str
    status: str
    created_at: datetime
    edited_at: datetime | None
    updated_at: datetime
    version: int
    author_id: UUID | None
    author_name: str | None
    author_group_id: UUID | None
    theme_id: UUID
    district_id: UUID | None
    latitude: float | None
    longitude: float | None
    department_id: UUID
    post_id: UUID
    merged_into_id: UUID | None
    reaction_due_at: datetime
    answer_due_at: datetime
    first_response_at: datetime | None
    answered_at: datetime | None
    due_at: datetime
    hidden_reason: str | None
    device_count: int
    email_count: int
    strong_count: int
    vote_count: int

    @property
    def listed(self) -> bool:
        """Whether it is in public lists and on boards."""
        return self.hidden_reason is None and self.status not in {"MERGED", "WITHDRAWN"}


@dataclass(frozen=True, slots=True)
class IdeaFilter:
    """Which ideas a list holds; None asks for nothing. `words` are tsquery texts made by `rules/search.py`."""

    district_id: UUID | None = None
    theme_id: UUID | None = None
    department_id: UUID | None = None
    post_id: UUID | None = None
    status: tuple[str, ...] | None = None
    words: str | None = None
    overdue: bool | None = None
    group_id: UUID | None = None
    author_id: UUID | None = None
    voter_id: UUID | None = None


# The condition of each filter, with {n} for its parameter. Only what is asked for gets into the statement, so that
# every combination is planned for itself and served by its index.
_CONDITIONS = {
    "district_id": "i.district_id = ${n}::uuid",
    "theme_id": "i.theme_id = ${n}::uuid",
    "department_id": "i.department_id = ${n}::uuid",
    "post_id": "i.post_id = ${n}::uuid",
    "status": "i.status = ANY(${n}::text[]::idea_status[])",
    "words": (
        "(i.search @@ to_tsquery('simple', ${n}) OR i.search @@ to_tsquery('finnish', ${n})"
        " OR i.search @@ to_tsquery('swedish', ${n}))"
    ),
    "overdue": "(i.due_at < now()) = ${n}::boolean",
    "group_id": (
        "EXISTS (SELECT FROM idea_groups AS g WHERE g.municipality_id = i.municipality_id"
        " AND g.idea_id = i.id AND g.group_id = ${n}::uuid)"
    ),
    "parent_group": (
        "EXISTS (SELECT FROM idea_groups AS g WHERE g.municipality_id = i.municipality_id"
        " AND g.idea_id = i.id AND g.group_id = parent.id)"
    ),
    "author_id": "i.author_id = ${n}::uuid",
    "voter_id": (
        "EXISTS (SELECT FROM votes AS v WHERE v.municipality_id = i.municipality_id AND v.idea_id = i.id"
        " AND v.resident_id = ${n}::uuid AND v.voted)"
    ),
}
# Of each order the leading key as an integer (None: the id alone orders), and the directions of key and id.
_ORDERS = {
    "NEWEST": (None, "DESC", "DESC"),
    "OLDEST": (None, "ASC", "ASC"),
    "MOST_VOTED": ("t.vote_count", "DESC", "ASC"),
    "TRENDING": ("{trending_score}", "DESC", "ASC"),
    "DUE_FIRST": ("i.due_at", "ASC", "ASC"),
}
ORDERS = tuple(_ORDERS)
# Of the orders that votes decide, the most that one vote adds to their key.
_VOTES_COUNT = {"MOST_VOTED": 1, "TRENDING": 14}
_AFTER = {"ASC": ">", "DESC": "<"}
_REVERSED = {"ASC": "DESC", "DESC": "ASC"}


# What a page's statement is given first; the filters' values and the cursor's key and id follow.
_PARAMETERS = 6


@cache
def page_statement(order: str, filters: tuple[str, ...], *, beyond: bool, backwards: bool) -> str:
    """The statement of one kind of page: $1 municipality, $2 viewer moderates, $3 viewer, $4 local day, $5 limit,
    $6 the parents (groups whose ideas are asked for; one null for a list of the whole municipality)."""
    key, key_way, id_way = _ORDERS[order]
    if backwards:
        key_way, id_way = _REVERSED[key_way], _REVERSED[id_way]
    valued = [name for name in filters if name != "parent_group"]  # that one has no value: it looks at its parent
    where = [_CONDITIONS[name].format(n=n) for n, name in enumerate(valued, start=_PARAMETERS + 1)]
    if "parent_group" in filters:
        where.append(_CONDITIONS["parent_group"])
    where.append("i.status <> 'MERGED'" if "author_id" in filters else "i.status NOT IN ('MERGED', 'WITHDRAWN')")
    if beyond:
        at, id_ = f"${_PARAMETERS + 1 + len(valued)}::bigint", f"${_PARAMETERS + 2 + len(valued)}::uuid"
        if order == "DUE_FIRST":
            at = f"to_timestamp({at} / 1000.0)"
        further, further_id = _AFTER[key_way], _AFTER[id_way]
        where.append(
            f"{key} {further}= {at} AND ({key} {further} {at} OR i.id {further_id} {id_})"
            if key
            else f"{at} = 0 AND i.id {further_id} {id_}"
        )
    number = f"(extract(epoch FROM {key}) * 1000)::bigint" if order == "DUE_FIRST" else f"({key or 0})::bigint"
    return fill(
        f"""
        SELECT parent.number, page.*
        FROM unnest($6::uuid[]) WITH ORDINALITY AS parent (id, number) CROSS JOIN LATERAL (
          SELECT {number} AS key, {{idea_columns}}
          FROM {{idea_tables}}
          WHERE i.municipality_id = $1 AND {{idea_visible}} AND $4::date IS NOT NULL AND {" AND ".join(where)}
          ORDER BY {f"{key} {key_way}, " if key else ""}i.id {id_way}
          LIMIT $5
        ) AS page
        """  # noqa: S608 # put together from the texts above and sql/queries/ideas.sql alone
    )


@dataclass(frozen=True, slots=True)
class PlacedIdea:
    """An idea in a list, with the number that the list's order put it there by."""

    key: int
    idea: IdeaRow

    @property
    def place(self) -> Place:
        return Place(self.key, self.idea.id)


async def idea_pages(
    conn: Connection,
    *,
    municipality_id: UUID,
    viewer: Viewer,
    today: date,
    order: str,
    filter: IdeaFilter,
    request: PageRequest,
    group_ids: Sequence[UUID] | None = None,
) -> list[Page[PlacedIdea]]:
    """One page of the whole municipality, or one for each of `group_ids`; in one statement."""
    values = {f.name: getattr(filter, f.name) for f in fields(filter) if getattr(filter, f.name) is not None}
    names = (*values, *(("parent_group",) if group_ids is not None else ()))
    place = (request.beyond.key, request.beyond.id) if request.beyond else ()
    parents = [None] if group_ids is None else list(group_ids)
    statement = page_statement(order, names, beyond=bool(place), backwards=request.backwards)
    if filter.overdue is not None and (sources := noted()):  # before the list: what becomes late in between is told
        seconds = await next_due(conn, municipality_id=municipality_id)
        sources.end(math.inf if seconds is None else time.time() + seconds + 0.001)
    rows = await conn.fetch(
        statement,
        municipality_id,
        viewer.moderates,
        viewer.id,
        today,
        request.limit + 1,
        parents,
        *values.values(),
        *place,
    )
    placed = [(row[0] - 1, PlacedIdea(row[1], IdeaRow(*list(row)[2:]))) for row in rows]
    for number, parent in enumerate(parents):
        fetched = [row for at, row in placed if at == number]
        _note_page(
            fetched, order=order, filter=filter, request=request, group_id=parent, municipality_id=municipality_id
        )
    return pages_by_parent(placed, len(parents), request)


def note_ideas(rows: Iterable[IdeaRow]) -> None:
    """Ideas that were read, with their authors' names and their clocks."""
    if noted():
        rows = list(rows)
        note_rows(*(row.id for row in rows), *(row.author_id for row in rows))
        note_until(row.due_at.timestamp() for row in rows)


def _note_page(
    fetched: Sequence[PlacedIdea],
    *,
    order: str,
    filter: IdeaFilter,
    request: PageRequest,
    group_id: UUID | None,
    municipality_id: UUID,
) -> None:
    sources = noted()
    if sources is None:
        return
    if filter.author_id or filter.voter_id:
        note_private()
    by_age = order in ("NEWEST", "OLDEST")
    # By the one beyond the page it is known that there is more. In order of age it is enough that it is in the span.
    note_ideas(row.idea for row in (fetched[: request.limit] if by_age else fetched))
    span = _span(fetched, order=order, request=request)
    voted = group_id or filter.group_id or filter.district_id or filter.theme_id
    sources.add_list(ideas_of(voted or filter.post_id or filter.department_id or municipality_id), span)
    if order in _VOTES_COUNT:
        sources.add_list(votes_of(voted or municipality_id), span)
    if order == "TRENDING":
        note_today()


def _span(fetched: Sequence[PlacedIdea], *, order: str, request: PageRequest) -> Span:
    further = fetched[request.limit] if len(fetched) > request.limit else None
    if order in _VOTES_COUNT and further and not request.backwards:
        last = fetched[request.limit - 1]
        return Span("", last.idea.id.hex, _VOTES_COUNT[order], last.key)
    if order not in ("NEWEST", "OLDEST"):
        return ANY
    start, end = request.beyond and request.beyond.id.hex, further and further.idea.id.hex
    if (order == "NEWEST") != request.backwards:
        return Span(end or "", start or OPEN)
    return Span(start or "", end or OPEN)


async def ideas_by_id(conn: Connection, *, municipality_id: UUID, viewer: Viewer, ids: Sequence[UUID]) -> list[IdeaRow]:
    """Those of `ids` that the viewer may see, in any order."""
    rows = await conn.fetch(SQL["ideas_by_id"], municipality_id, viewer.moderates, viewer.id, ids)
    found = [IdeaRow(*row) for row in rows]
    note_rows(*ids)
    note_ideas(found)
    return found


async def idea_for_update(conn: Connection, *, municipality_id: UUID, viewer: Viewer, id: UUID) -> IdeaRow | None:
    """The idea, locked until the transaction ends; None where the viewer may see none."""
    row = await conn.fetchrow(SQL["idea_for_update"], municipality_id, viewer.moderates, viewer.id, id)
    return IdeaRow(*row) if row else None


async def next_idea_number(conn: Connection, *, municipality_id: UUID) -> int:
    number: int = await conn.fetchval(SQL["next_idea_number"], municipality_id)
    return number


async def submit_idea(
    conn: Connection,
    *,
    municipality_id: UUID,
    title: str,
    body: str,
    locale: str,
    author_id: UUID,
    group_id: UUID | None,
    theme_id: UUID,
    district_id: UUID | None,
    location: tuple[float, float] | None,
    department_id: UUID,
    post_id: UUID,
) -> UUID:
    """Writes a new idea with its tally, owner, clock and its author's follow."""
    number = await next_idea_number(conn, municipality_id=municipality_id)
    latitude, longitude = location or (None, None)
    id: UUID = await conn.fetchval(
        SQL["submit_idea"],
        municipality_id,
        number,
        title,
        body,
        locale,
        author_id,
        group_id,
        theme_id,
        district_id,
        latitude,
        longitude,
        department_id,
        post_id,
    )
    return id


async def others_voted(conn: Connection, *, municipality_id: UUID, idea_id: UUID, editor_id: UUID) -> bool:
    voted: bool = await conn.fetchval(SQL["others_voted"], municipality_id, idea_id, editor_id)
    return voted


async def edit_idea(conn: Connection, *, municipality_id: UUID, idea: IdeaRow) -> None:
    """Writes text, place and owner of `idea`, which is locked and changed as it shall be."""
    await conn.execute(
        SQL["edit_idea"],
        municipality_id,
        idea.id,
        idea.title,
        idea.body,
        idea.theme_id,
        idea.district_id,
        idea.latitude,
        idea.longitude,
        idea.department_id,
        idea.post_id,
    )
    await conn.execute(SQL["touch_tally"], municipality_id, idea.id)


async def place_idea(
    conn: Connection, *, municipality_id: UUID, idea_id: UUID, status: str, hidden_reason: str | None
) -> None:
    """Sets status and hiding of a locked idea. Raises CheckViolationError `ideas_status_transition`."""
    await conn.execute(SQL["place_idea"], municipality_id, idea_id, status, hidden_reason)
    await conn.execute(SQL["touch_tally"], municipality_id, idea_id)


async def add_moderation(
    conn: Connection, *, municipality_id: UUID, idea_id: UUID, moderator_id: UUID, hidden: bool, reason: str
) -> None:
    await conn.execute(SQL["add_moderation"], municipality_id, idea_id, moderator_id, hidden, reason)


async def similar_ideas(
    conn: Connection, *, municipality_id: UUID, viewer: Viewer, text: str, district_id: UUID | None, limit: int
) -> list[tuple[float, IdeaRow]]:
    """Listed ideas whose titles resemble `text`, most alike first, with the likeness from 0 to 1 (trigrams)."""
    note_private()  # what somebody types is asked once
    rows = await conn.fetch(
        SQL["similar_ideas"], municipality_id, viewer.moderates, viewer.id, text, district_id, limit
    )
    return [(row[0], IdeaRow(*list(row)[1:])) for row in rows]
