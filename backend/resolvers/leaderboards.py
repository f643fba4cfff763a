"""Leaderboards: pages, and their changes as they happen."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated

import strawberry

from backend.context import Context, Info
from backend.db.boards import Board, Entry, Window
from backend.db.ideas import IdeaRow
from backend.db.pages import PageRequest, page
from backend.errors import BadUserInput
from backend.resolvers.inputs import filter_id
from backend.schema.enums import LeaderboardWindow
from backend.schema.ideas import idea
from backend.schema.leaderboards import LeaderboardConnection, LeaderboardEdge, LeaderboardEntry, LeaderboardScope
from backend.schema.pages import DEFAULT_PAGE, LARGEST_PAGE, After, First, page_request

Scope = Annotated[
    LeaderboardScope | None, strawberry.argument(description="Whose ideas; the whole municipality where left out.")
]
WhichWindow = Annotated[LeaderboardWindow, strawberry.argument(description="Which votes count.")]
Places = Annotated[int | None, strawberry.argument(description="How many places: 1 to 100, 20 where left out.")]


async def leaderboard(
    info: Info,
    scope: Scope = None,
    window: WhichWindow = LeaderboardWindow.ALL_TIME,
    first: First = None,
    after: After = None,
) -> LeaderboardConnection | None:
    """Ranked ideas."""
    board = _board(info.context, scope, window)
    binding = f"leaderboard:{board.scope_id}:{window}"
    request = page_request(info, binding, first=first, after=after)

    async def read() -> LeaderboardConnection:
        places = page(await _places(info.context, board, request), request)
        edges = [
            LeaderboardEdge(place=entry.place, binding=binding, node=_entry(board, entry, row))
            for entry, row in places.rows
        ]
        return LeaderboardConnection(
            edges=edges, ends=edges, has_previous=places.has_previous, has_next=places.has_next
        )

    return await info.context.kept((board, request), read)  # listed ideas are the same for everybody


async def leaderboard_changed(
    info: Info, scope: Scope = None, window: WhichWindow = LeaderboardWindow.ALL_TIME, first: Places = None
) -> AsyncGenerator[list[LeaderboardEntry] | None, None]:
    """The board now, then whenever it changes."""
    context = info.context
    board = _board(context, scope, window)
    limit = DEFAULT_PAGE if first is None else first
    if not 1 <= limit <= LARGEST_PAGE:
        raise BadUserInput(f"first: must be from 1 to {LARGEST_PAGE}", path=["first"])
    request, sent = PageRequest(limit), None
    hub = context.services.hub
    async with aclosing(hub.boards(context.municipality_id)) as wakes:
        async for _ in wakes:
            places = await context.kept(
                (board, request, "places"),
                lambda: _places(context, board, request),
                since=hub.wake_ups(context.municipality_id),
            )
            places = places[:limit]
            now = [entry for entry, _ in places]
            if now != sent:
                sent = now
                yield [_entry(board, entry, row) for entry, row in places]


async def _places(context: Context, board: Board, request: PageRequest) -> Sequence[tuple[Entry, IdeaRow]]:
    """The places asked for, one more than the page holds, with their ideas."""
    today, read = context.today(), context.services.leaderboards
    asked = {"today": today, "limit": request.limit + 1, "beyond": request.beyond}
    for source in (read.page, read.truth):
        entries = await source(board, **asked)  # type: ignore[arg-type] # one dict of three types
        found = await context.read.ideas(entry.idea_id for entry in entries)
        rows = [found.get(entry.idea_id) for entry in entries]
        if all(row and row.listed for row in rows):
            break
        # Some were hidden or withdrawn since Redis last heard: PostgreSQL knows who stands in their places.
    return [(entry, row) for entry, row in zip(entries, rows, strict=True) if row and row.listed]


def _entry(board: Board, entry: Entry, row: IdeaRow) -> LeaderboardEntry:
    return LeaderboardEntry(board=board, entry=entry, rank=entry.rank, score=entry.score, idea=idea(row))


def _board(context: Context, scope: LeaderboardScope | None, window: LeaderboardWindow) -> Board:
    scope_id = None
    if scope is not None:
        for type_name, asked in (
            ("District", scope.district_id),
            ("Theme", scope.theme_id),
            ("Group", scope.group_id),
        ):
            if asked is not strawberry.UNSET:
                scope_id = filter_id(type_name, asked, "scope", f"{type_name.lower()}Id")
    return Board(context.municipality_id, scope_id, Window(window))
