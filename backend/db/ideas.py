"""Ideas: rows, pages in every order, and what changes them."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from backend.cursors import Place
from backend.db.idea_statements import ORDERS, VALUELESS, IdeaFilter, few_ideas, page_statement
from backend.db.pages import Page, PageRequest, pages_by_parent
from backend.db.pool import Connection
from backend.db.public_changes import next_due
from backend.db.statements import statements
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

__all__ = ["ORDERS", "IdeaFilter", "page_statement"]  # what others take from here, beside what is written here

SQL = statements("ideas")
UNLISTED: Final = frozenset({"MERGED", "WITHDRAWN"})
"""Statuses that take an idea out of public lists and off boards."""
# Of the orders that votes decide, the most that one vote adds to their key.
_VOTES_COUNT: Final = {"MOST_VOTED": 1, "TRENDING": 14}


class IdeaRow(NamedTuple):  # not a dataclass: made several times as fast, twenty and more a page
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
        return self.hidden_reason is None and self.status not in UNLISTED


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
    if filter.author_id is None and filter.status is not None:
        # Never listed: asking for these alone would walk through all ideas to find none.
        filter = replace(filter, status=tuple(each for each in filter.status if each not in UNLISTED))
    if filter.status == ():
        return pages_by_parent([], 1 if group_ids is None else len(group_ids), request)
    asked = filter.asked()
    names = (*asked, *(("parent_group",) if group_ids is not None else ()))
    values = [value for name, value in asked.items() if name not in VALUELESS]
    place = (request.beyond.key, request.beyond.id) if request.beyond else ()
    parents = [None] if group_ids is None else list(group_ids)
    if filter.overdue is not None and (sources := noted()):  # before the list: what becomes late in between is told
        asked_at = time.time()  # not when the answer is there, which may be late
        seconds = await next_due(conn, municipality_id=municipality_id)
        sources.end(math.inf if seconds is None else asked_at + seconds + 0.001)
    few = await few_ideas(conn, municipality_id=municipality_id, order=order, names=names, values=values)

    async def read(*, late: bool) -> list[asyncpg.Record]:
        statement = page_statement(
            order,
            names,
            beyond=bool(place),
            backwards=request.backwards,
            few=few,
            limit=request.limit + 1,
            slot="even" if today.toordinal() % 2 == 0 else "odd",
            late=late,
        )
        whose = (municipality_id, viewer.moderates, viewer.id, today, request.limit + 1, parents)
        return await conn.fetch(statement, *whose, *values, *place)

    rows = await read(late=False)
    if order == "TRENDING" and not few and (not rows or rows[0][2]):
        rows = await read(late=True)
    placed = [(row[0] - 1, PlacedIdea(row[1], IdeaRow._make(row[3:]))) for row in rows]
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
    found = [IdeaRow._make(row) for row in rows]
    note_rows(*ids)
    note_ideas(found)
    return found


async def idea_for_update(conn: Connection, *, municipality_id: UUID, viewer: Viewer, id: UUID) -> IdeaRow | None:
    """The idea, locked until the transaction ends; None where the viewer may see none."""
    row = await conn.fetchrow(SQL["idea_for_update"], municipality_id, viewer.moderates, viewer.id, id)
    return IdeaRow._make(row) if row else None


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


# Least likenesses of whole titles and of parts to look for, in turn: what is very much alike is found soonest.
_LIKENESSES: Final = ((0.8, 0.8), (0.55, 0.55), (0.3, 0.4))
_MOST_ALIKE: Final = 2_000
_SIMILAR_SECONDS: Final = 0.2


async def similar_ideas(
    conn: Connection, *, municipality_id: UUID, viewer: Viewer, text: str, district_id: UUID | None, limit: int
) -> list[tuple[float, IdeaRow]]:
    """Listed ideas whose titles resemble `text`, most alike first, with the likeness from 0 to 1 (trigrams).

    Runs in a transaction of its own, and for a moment only: of a text that resembles thousands of titles in a large
    municipality, what was found by then, or among the first _MOST_ALIKE.
    """
    note_private()  # what somebody types is asked once
    found: list[asyncpg.Record] = []
    until = time.monotonic() + _SIMILAR_SECONDS
    for likeness in _LIKENESSES:
        left = int((until - time.monotonic()) * 1000)
        if left <= 0 or len(found) >= limit:
            break
        try:
            async with conn.transaction():
                await conn.execute(SQL["set_likeness"], *map(str, likeness), str(left))
                found = await conn.fetch(
                    SQL["similar_ideas"],
                    municipality_id,
                    viewer.moderates,
                    viewer.id,
                    text,
                    district_id,
                    limit,
                    _MOST_ALIKE,
                )
        except asyncpg.QueryCanceledError:
            break
    return [(row[0], IdeaRow._make(row[1:])) for row in found]
