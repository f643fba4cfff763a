"""Keyset pages: what a page asks for, and the rows it brings with one more to know whether there are others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from backend.cursors import Place

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`limit` rows beyond `beyond`; `backwards` counts from the end (`last`/`before`)."""

    limit: int
    beyond: Place | None = None
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows in the list's order, and whether there are rows before and after them."""

    rows: Sequence[Row]
    has_previous: bool
    has_next: bool


def page(fetched: Sequence[Row], request: PageRequest) -> Page[Row]:
    """The page out of `limit + 1` rows fetched in the direction asked for.

    Whether rows lie on the other side is told by the cursor alone: where one was given, its own row does.
    """
    more, rows = len(fetched) > request.limit, fetched[: request.limit]
    came_from = request.beyond is not None
    if request.backwards:
        return Page(rows[::-1], has_previous=more, has_next=came_from)
    return Page(rows, has_previous=came_from, has_next=more)


def pages_by_parent(fetched: Sequence[tuple[int, Row]], parents: int, request: PageRequest) -> list[Page[Row]]:
    """One page for each parent, from rows that carry their parent's number (from 0)."""
    rows: list[list[Row]] = [[] for _ in range(parents)]
    for number, row in fetched:
        rows[number].append(row)
    return [page(list_, request) for list_ in rows]
