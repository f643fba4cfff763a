"""Connections (Relay) over keyset pages."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

import strawberry

from backend.context import Info
from backend.cursors import Place
from backend.db.pages import Page, PageRequest
from backend.errors import BadUserInput
from backend.fields import field

Row = TypeVar("Row")

DEFAULT_PAGE = 20
LARGEST_PAGE = 100

EDGES = "The rows with their cursors."
NODES = "The rows without their cursors."
NODE = "The row."

First = Annotated[
    int | None,
    strawberry.argument(description="How many from the start, or after `after`: 1 to 100, 20 where left out."),
]
After = Annotated[str | None, strawberry.argument(description="Cursor to go on after.")]
Last = Annotated[
    int | None,
    strawberry.argument(description="How many from the end, or before `before`: 1 to 100. Not with `first`."),
]
Before = Annotated[str | None, strawberry.argument(description="Cursor to go back from.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there is more after `endCursor`.")
    has_previous_page: bool = strawberry.field(description="Whether there is more before `startCursor`.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first edge; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last edge; null on an empty page.")


@strawberry.type
class Edge:
    """What every edge has: its place, of which the cursor is made when asked for."""

    place: strawberry.Private[Place]
    binding: strawberry.Private[str]

    @field("Opaque; good for this list with the same order and filter.")
    def cursor(self, info: Info) -> str:
        return info.context.cursor(self.binding, self.place)


@strawberry.type
class Connection:
    """What every connection has beside its own `edges` and `nodes`."""

    ends: strawberry.Private[Sequence[Edge]]
    has_previous: strawberry.Private[bool]
    has_next: strawberry.Private[bool]

    @field("Where this page stands in its list.")
    def page_info(self, info: Info) -> PageInfo:
        cursors = [info.context.cursor(edge.binding, edge.place) for edge in self.ends]
        return PageInfo(
            has_next_page=self.has_next,
            has_previous_page=self.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )


async def pages_below(
    info: Info,
    parents: Sequence[UUID],
    binding: str,
    read: Callable[[Sequence[UUID], PageRequest], Awaitable[Sequence[Page[Row]]]],
    connection: Callable[[Page[Row], str], object],
    *,
    first: int | None,
    after: str | None,
) -> list[Any]:  # Any: a connection for each parent, or why its cursor isn't good
    """A page below each of many parents, in a statement for all that ask for the same one. The list of each is bound
    to `binding` and the parent's id."""
    bindings = [f"{binding}:{parent}" for parent in parents]
    requests: list[PageRequest | BadUserInput] = []
    for each in bindings:
        try:
            requests.append(page_request(info, each, first=first, after=after))
        except BadUserInput as error:
            requests.append(error)
    pages: dict[tuple[UUID, PageRequest], Page[Row]] = {}
    for request in {each for each in requests if isinstance(each, PageRequest)}:
        asking = [parent for parent, asked in zip(parents, requests, strict=True) if asked == request]
        found = await read(asking, request)
        pages.update({(parent, request): page for parent, page in zip(asking, found, strict=True)})
    return [
        connection(pages[parent, request], each) if isinstance(request, PageRequest) else request
        for parent, request, each in zip(parents, requests, bindings, strict=True)
    ]


def page_request(
    info: Info,
    binding: str,
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> PageRequest:
    """The page asked for. Raises BadUserInput for sizes out of range and cursors that are not of this list."""
    if (last is not None or before is not None) and (first is not None or after is not None):
        raise BadUserInput("first and after go one way, last and before the other: ask for one of them", path=["last"])
    size, name = (first, "first") if last is None else (last, "last")
    if size is not None and not 1 <= size <= LARGEST_PAGE:
        raise BadUserInput(f"{name}: must be from 1 to {LARGEST_PAGE}", path=[name])
    cursor, argument = (after, "after") if before is None else (before, "before")
    return PageRequest(
        limit=DEFAULT_PAGE if size is None else size,
        beyond=None if cursor is None else info.context.place(binding, cursor, argument=argument),
        backwards=last is not None or before is not None,
    )
