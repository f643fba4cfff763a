"""Objects by id, and a single idea as it changes."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Annotated, TypeVar
from uuid import UUID

import strawberry

from backend.context import Info
from backend.db import residents
from backend.db.ideas import IdeaRow
from backend.db.pool import acquire
from backend.errors import BadUserInput
from backend.ids import parse_id
from backend.resolvers.inputs import filter_id
from backend.schema.groups import group
from backend.schema.ideas import Idea, idea
from backend.schema.municipalities import department, district, municipality, official, theme
from backend.schema.nodes import Node
from backend.schema.notifications import notification
from backend.schema.residents import resident
from backend.schema.responses import response
from backend.schema.session_list import session

LARGEST_IDS = 100
Row = TypeVar("Row")


async def node(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Any id of this service.")]
) -> Node | None:
    """The object with an id; null where there is nothing to see."""
    parse_id(id)
    return (await nodes(info, [id]))[0]


async def nodes(
    info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Up to 100 ids.")]
) -> list[Node | None]:
    """The objects with some ids, in the order asked."""
    if len(ids) > LARGEST_IDS:
        raise BadUserInput(f"ids: {LARGEST_IDS} at most", path=["ids"])
    wanted = [_parsed(id) for id in ids]
    found: dict[tuple[str, UUID], Node] = {}
    for type_name in dict.fromkeys(item[0] for item in wanted if item):
        uuids = list(dict.fromkeys(item[1] for item in wanted if item and item[0] == type_name))
        if type_name not in _READERS:
            continue  # an id of something that is read in another way
        made = await _READERS[type_name](info, uuids)
        found.update({(type_name, uuid): each for uuid, each in zip(uuids, made, strict=True) if each})
    return [found.get(item) if item else None for item in wanted]


async def idea_changed(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The idea's id.")]
) -> AsyncGenerator[Idea | None, None]:
    """An idea now, then whenever it changes; null once it can't be seen."""
    context = info.context
    idea_id = filter_id("Idea", id, "id")
    if idea_id is None or idea_id.int == 0:
        yield None
        return
    sent: IdeaRow | bool | None = False
    async with aclosing(context.services.hub.idea(context.municipality_id, idea_id)) as wakes:
        async for _ in wakes:
            row = await context.read.idea(idea_id)
            if row != sent:
                sent = row
                yield idea(row) if row else None


def _parsed(text: str) -> tuple[str, UUID] | None:
    try:
        return parse_id(text)
    except BadUserInput:
        return None


async def _catalogued(
    info: Info, ids: Sequence[UUID], rows: Mapping[UUID, Row], make: Callable[[Info, Row], Node]
) -> list[Node | None]:
    return [make(info, rows[id]) if id in rows else None for id in ids]


async def _municipalities(info: Info, ids: Sequence[UUID]) -> list[Node | None]:
    return [municipality(info) if id == info.context.municipality_id else None for id in ids]


async def _officials(info: Info, ids: Sequence[UUID]) -> list[Node | None]:
    rows = [await info.context.official(id) for id in ids]
    return [official(info, row) if row else None for row in rows]


async def _residents(info: Info, ids: Sequence[UUID]) -> list[Node | None]:
    async with acquire(info.context.pool) as conn:
        names = await residents.display_names(conn, municipality_id=info.context.municipality_id, ids=ids)
    return [resident(id, names[id]) if id in names else None for id in ids]


async def _ideas(info: Info, ids: Sequence[UUID]) -> list[Node | None]:
    rows = await info.context.read.ideas(ids)
    return [idea(rows[id]) if id in rows else None for id in ids]


async def _groups(info: Info, ids: Sequence[UUID]) -> list[Node | None]:
    rows = await info.context.read.groups(ids)
    return [group(rows[id]) if id in rows else None for id in ids]


async def _responses(info: Info, ids: Sequence[UUID]) -> list[Node | None]:
    rows = await info.context.read.responses(ids)
    return [response(rows[id]) if id in rows else None for id in ids]


async def _notifications(info: Info, ids: Sequence[UUID]) -> list[Node | None]:
    rows = await info.context.read.notifications(ids)
    return [notification(rows[id]) if id in rows else None for id in ids]


async def _sessions(info: Info, ids: Sequence[UUID]) -> list[Node | None]:
    rows = await info.context.read.sessions(ids)
    return [session(rows[id]) if id in rows else None for id in ids]


_READERS: Mapping[str, Callable[[Info, list[UUID]], Awaitable[list[Node | None]]]] = {
    "Municipality": _municipalities,
    "District": lambda info, ids: _catalogued(info, ids, info.context.catalogue.districts, district),
    "Department": lambda info, ids: _catalogued(info, ids, info.context.catalogue.departments, department),
    "Theme": lambda info, ids: _catalogued(info, ids, info.context.catalogue.themes, theme),
    "Official": _officials,
    "Resident": _residents,
    "Idea": _ideas,
    "Group": _groups,
    "Response": _responses,
    "Notification": _notifications,
    "Session": _sessions,
}
