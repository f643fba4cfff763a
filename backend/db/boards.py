"""Leaderboards as PostgreSQL has them: the truth that Redis mirrors, and what is served when Redis can't.

A board is a scope (the whole municipality, a district, a theme or a group) seen through a window. Its order is score
descending, then id ascending; ids are UUIDv7, so that is age.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from uuid import UUID

from backend.cursors import Place
from backend.db.pool import Connection
from backend.db.statements import fill, statements

SQL = statements("boards")
WHOLE_SECONDS = 600  # that reading boards whole may take, whatever their size


class Window(StrEnum):
    ALL_TIME = "ALL_TIME"
    MONTH = "MONTH"
    WEEK = "WEEK"
    DAY = "DAY"
    TRENDING = "TRENDING"


DAYS = {Window.MONTH: 30, Window.WEEK: 7, Window.DAY: 1}


@dataclass(frozen=True, slots=True)
class Board:
    """`scope_id` is a district, theme or group; None is the whole municipality. `at_midnight`: as it stood at the last
    local midnight."""

    municipality_id: UUID
    scope_id: UUID | None
    window: Window
    at_midnight: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    rank: int
    score: int
    idea_id: UUID

    @property
    def place(self) -> Place:
        return Place(self.score, self.idea_id)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the boards show of one idea. `scope_ids` are its district, theme and groups, `left_scope_ids` those it may
    still stand on the boards of."""

    idea_id: UUID
    listed: bool
    scope_ids: tuple[UUID, ...]
    left_scope_ids: tuple[UUID, ...]
    scores: dict[Window, int]

    def on(self, window: Window) -> bool:
        """Whether it is on the boards of a window: ideas without votes are not on those of the last days."""
        return self.listed and (self.scores[window] > 0 or window not in DAYS)


NO_IDEA = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Changes:
    """`position` is where to read on once all was read; `today` the municipality's local day that the scores are for,
    and `since_midnight` how many seconds of it have passed. `last` is the place of the last of these, for the rest."""

    position: int
    today: date
    since_midnight: int
    standings: tuple[Standing, ...]
    last: Place


async def board_changes(
    conn: Connection, *, municipality_id: UUID, since: int, limit: int | None = None, beyond: UUID = NO_IDEA
) -> Changes | None:
    """What changed since a position (0: everything), beyond an idea there, in one snapshot; None for an unknown
    municipality."""
    rows = await conn.fetch(SQL["board_changes"], municipality_id, since, beyond, limit)
    if not rows:
        return None
    position, today, since_midnight, xid, idea_id = rows[-1][:5]
    standings = tuple(_standing(row[4:]) for row in rows if row[4])
    return Changes(position, today, since_midnight, standings, Place(xid or since, idea_id or beyond))


async def board_standings(
    conn: Connection, *, municipality_id: UUID, idea_ids: Sequence[UUID], at_midnight: bool = False
) -> list[Standing]:
    """What the boards show of some ideas, or showed at the last local midnight."""
    name = "midnight_standings" if at_midnight else "board_standings"
    return [_standing(tuple(row)) for row in await conn.fetch(SQL[name], municipality_id, idea_ids)]


async def changed_ideas(conn: Connection, *, municipality_id: UUID, since: int, idea_ids: Sequence[UUID]) -> set[UUID]:
    """Which of some ideas changed since a position."""
    return {row[0] for row in await conn.fetch(SQL["changed_ideas"], municipality_id, since, idea_ids)}


async def next_ideas(conn: Connection, *, municipality_id: UUID, after: UUID, limit: int) -> list[UUID]:
    """Ideas by id, listed or not."""
    return [row[0] for row in await conn.fetch(SQL["next_ideas"], municipality_id, after, limit)]


async def renumber_changes(conn: Connection, *, municipality_id: UUID) -> None:
    await conn.execute(SQL["renumber_changes"], municipality_id)


async def count_scopes(conn: Connection, *, municipality_id: UUID) -> int:
    """Districts, themes and groups."""
    count: int = await conn.fetchval(SQL["count_scopes"], municipality_id)
    return count


def _standing(row: Sequence[object]) -> Standing:
    idea_id, listed, district_id, theme_id, group_ids, left, *scores = row
    return Standing(
        idea_id,  # type: ignore[arg-type] # a row's values have no types
        listed,  # type: ignore[arg-type] # likewise
        tuple(id for id in (district_id, theme_id, *group_ids) if id),  # type: ignore[misc] # likewise
        tuple(left),  # type: ignore[arg-type] # likewise
        {window: int(score) for window, score in zip(Window, scores, strict=True)},  # type: ignore[call-overload] # likewise
    )


@cache
def _ranking(window: Window, *, at_midnight: bool) -> str:
    """Statement text of (idea_id, district_id, theme_id, score) rows: $1 municipality, $3 today, $4 days or null."""
    kind = {Window.ALL_TIME: "all_time", Window.TRENDING: "trending"}.get(window, "window")
    return fill(f"{{{'midnight' if at_midnight else 'board'}_{kind}}}")


@cache
def board_statement(window: Window, scope: str = "in_whole", *, at_midnight: bool = False) -> str:
    """A page of a board: $2 scope, $5 score and $6 id to start beyond (or null), $7 rows. Places before the page are
    counted once, those on it follow; the first page of ALL_TIME is read off its index."""
    # Each with a bound of its own for an index to begin at.
    beyond = "r.score <= $5::bigint AND (r.score < $5 OR r.idea_id > $6::uuid)"
    before = "r.score >= $5 AND (r.score > $5 OR r.idea_id <= $6)"
    return f"""
        WITH ranking AS NOT MATERIALIZED (
          SELECT r.idea_id, r.score FROM ({_ranking(window, at_midnight=at_midnight)}) AS r WHERE {fill(f"{{{scope}}}")}
        ),
        unused AS (SELECT $3::date, $4::integer)
        SELECT
          CASE WHEN $6::uuid IS NULL THEN 0 ELSE (SELECT count(*) FROM ranking AS r WHERE {before}) END
            + row_number() OVER (ORDER BY page.score DESC, page.idea_id),
          page.score, page.idea_id
        FROM (
          SELECT r.score, r.idea_id FROM ranking AS r
          WHERE $6::uuid IS NULL OR {beyond}
          ORDER BY r.score DESC, r.idea_id
          LIMIT $7
        ) AS page
        ORDER BY page.score DESC, page.idea_id
    """  # noqa: S608 # put together from the fragments of sql/queries/boards.sql alone


@cache
def midnight_statement(window: Window, scope: str = "in_whole") -> str:
    """Ranks at the last local midnight of the ideas $5."""
    return f"""
        WITH ranking AS (
          SELECT r.idea_id, r.score FROM ({_ranking(window, at_midnight=True)}) AS r WHERE {fill(f"{{{scope}}}")}
        ),
        unused AS (SELECT $3::date, $4::integer),
        ranked AS (SELECT idea_id, row_number() OVER (ORDER BY score DESC, idea_id) AS rank FROM ranking)
        SELECT idea_id, rank FROM ranked WHERE idea_id = ANY($5::uuid[])
    """  # noqa: S608 # likewise


@cache
def highest_statement(window: Window, *, scoped: bool, at_midnight: bool) -> str:
    """The best $5 places of the whole municipality, or of each of its scopes; $2 is null."""
    return f"""
        WITH scored AS ({_ranking(window, at_midnight=at_midnight)}),
        unused AS (SELECT $2::uuid, $3::date, $4::integer)
        {fill("{highest_in_scopes}" if scoped else "{highest_in_whole}")}
    """


async def board_page(
    conn: Connection,
    board: Board,
    *,
    today: date,
    limit: int,
    beyond: Place | None = None,
    seconds: float | None = None,
) -> list[Entry]:
    """Up to `limit` places of a board beyond a place, straight from the votes."""
    rows = await conn.fetch(
        board_statement(board.window, await _scope_kind(conn, board), at_midnight=board.at_midnight),
        board.municipality_id,
        board.scope_id,
        today,
        DAYS.get(board.window),
        beyond.key if beyond else None,
        beyond.id if beyond else None,
        limit,
        timeout=seconds,
    )
    return [Entry(row[0], row[1], row[2]) for row in rows]


async def midnight_ranks(conn: Connection, board: Board, *, today: date, idea_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The ranks of some ideas on a board as it stood at the last local midnight; those not on it are left out. Counts
    the board's places only where one of them was on it."""
    standings = await board_standings(conn, municipality_id=board.municipality_id, idea_ids=idea_ids, at_midnight=True)
    there = [
        each.idea_id
        for each in standings
        if each.on(board.window) and (board.scope_id is None or board.scope_id in each.scope_ids)
    ]
    if not there:
        return {}
    rows = await conn.fetch(
        midnight_statement(board.window, await _scope_kind(conn, board)),
        board.municipality_id,
        board.scope_id,
        today,
        DAYS.get(board.window),
        there,
    )
    return {row[0]: row[1] for row in rows}


async def highest_places(
    conn: Connection,
    municipality_id: UUID,
    window: Window,
    *,
    scoped: bool,
    at_midnight: bool,
    today: date,
    limit: int,
    at_once: int,
) -> AsyncIterator[dict[Board, list[Entry]]]:
    """The best `limit` places of the whole municipality's board, or of the board of every scope that has ideas on it,
    in pieces of whole boards of at least `at_once` places. Needs a transaction."""
    rows = conn.cursor(
        highest_statement(window, scoped=scoped, at_midnight=at_midnight),
        municipality_id,
        None,
        today,
        DAYS.get(window),
        limit,
        prefetch=at_once,
        timeout=WHOLE_SECONDS,
    )
    boards: dict[Board, list[Entry]] = {}
    places = 0
    async for scope_id, idea_id, score in rows:
        board = Board(municipality_id, scope_id, window, at_midnight)
        if board not in boards and places >= at_once:
            yield boards
            boards, places = {}, 0
        entries = boards.setdefault(board, [])
        entries.append(Entry(len(entries) + 1, score, idea_id))
        places += 1
    if boards:
        yield boards


async def _scope_kind(conn: Connection, board: Board) -> str:
    if board.scope_id is None:
        return "in_whole"
    kind: str = await conn.fetchval(SQL["scope_kind"], board.municipality_id, board.scope_id)
    return kind


async def take_time(conn: Connection) -> None:
    """For a transaction that reads boards whole."""
    await conn.execute(f"SET LOCAL statement_timeout = '{WHOLE_SECONDS}s'")
