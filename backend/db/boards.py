"""Leaderboards as PostgreSQL has them: the truth that Redis mirrors, and what is served when Redis can't.

A board is a scope (the whole municipality, a district, a theme or a group) seen through a window. Its order is score
descending, then id ascending; ids are UUIDv7, so that is age.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from uuid import UUID

from backend.cursors import Place
from backend.db.pool import Connection
from backend.db.statements import fill, statements
from backend.provenance import ANY, ideas_of, note_today, noted

SQL = statements("boards")


class Window(StrEnum):
    ALL_TIME = "ALL_TIME"
    MONTH = "MONTH"
    WEEK = "WEEK"
    DAY = "DAY"
    TRENDING = "TRENDING"


DAYS = {Window.MONTH: 30, Window.WEEK: 7, Window.DAY: 1}


@dataclass(frozen=True, slots=True)
class Board:
    """`scope_id` is a district, theme or group; None is the whole municipality."""

    municipality_id: UUID
    scope_id: UUID | None
    window: Window


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
    """What the boards show of one idea. `scope_ids` are its district, theme and groups; none of it where unlisted."""

    idea_id: UUID
    version: int
    listed: bool
    scope_ids: tuple[UUID, ...]
    scores: dict[Window, int]


@dataclass(frozen=True, slots=True)
class Changes:
    """`position` is where to read on; `today` the municipality's local day that the scores are for."""

    position: int
    today: date
    standings: tuple[Standing, ...]


async def board_changes(conn: Connection, *, municipality_id: UUID, since: int) -> Changes | None:
    """What changed since a position (0: everything), in one snapshot; None for an unknown municipality."""
    rows = await conn.fetch(SQL["board_changes"], municipality_id, since, timeout=600 if since == 0 else None)
    if not rows:
        return None
    return Changes(
        rows[0]["position"],
        rows[0]["today"],
        tuple(
            Standing(
                row["idea_id"],
                row["version"],
                row["listed"],
                tuple(id for id in (row["district_id"], row["theme_id"], *row["group_ids"]) if id),
                {
                    Window.ALL_TIME: row["vote_count"],
                    Window.MONTH: int(row["month"]),
                    Window.WEEK: int(row["week"]),
                    Window.DAY: int(row["day"]),
                    Window.TRENDING: int(row["trending"]),
                },
            )
            for row in rows
            if row["idea_id"]
        ),
    )


async def renumber_changes(conn: Connection, *, municipality_id: UUID) -> None:
    await conn.execute(SQL["renumber_changes"], municipality_id)


@cache
def _ranking(window: Window, *, at_midnight: bool) -> str:
    """Statement text of a board's (idea_id, score) rows: $1 municipality, $2 scope, $3 today, $4 days or null."""
    kind = {Window.ALL_TIME: "all_time", Window.TRENDING: "trending"}.get(window, "window")
    return fill(f"{{{'midnight' if at_midnight else 'board'}_{kind}}}")


@cache
def board_statement(window: Window) -> str:
    """A page of a board: $5 score and $6 id to start beyond (or null), $7 rows. Places before the page are counted
    once, those on it follow; the first page of ALL_TIME is read off its index."""
    beyond = "r.score < $5::bigint OR (r.score = $5 AND r.idea_id > $6::uuid)"
    return f"""
        WITH ranking AS NOT MATERIALIZED ({_ranking(window, at_midnight=False)}),
        unused AS (SELECT $3::date, $4::integer)
        SELECT
          CASE WHEN $6::uuid IS NULL THEN 0 ELSE (SELECT count(*) FROM ranking AS r WHERE NOT ({beyond})) END
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
def midnight_statement(window: Window) -> str:
    """Ranks at the last local midnight of the ideas $5."""
    return f"""
        WITH ranking AS ({_ranking(window, at_midnight=True)}),
        unused AS (SELECT $3::date, $4::integer),
        ranked AS (SELECT idea_id, row_number() OVER (ORDER BY score DESC, idea_id) AS rank FROM ranking)
        SELECT idea_id, rank FROM ranked WHERE idea_id = ANY($5::uuid[])
    """  # noqa: S608 # likewise


async def board_page(
    conn: Connection, board: Board, *, today: date, limit: int, beyond: Place | None = None
) -> list[Entry]:
    """Up to `limit` places of a board beyond a place, straight from the votes."""
    rows = await conn.fetch(
        board_statement(board.window),
        board.municipality_id,
        board.scope_id,
        today,
        DAYS.get(board.window),
        beyond.key if beyond else None,
        beyond.id if beyond else None,
        limit,
    )
    return [Entry(row[0], row[1], row[2]) for row in rows]


async def midnight_ranks(conn: Connection, board: Board, *, today: date, idea_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The ranks of some ideas on a board as it stood at the last local midnight; those not on it are left out."""
    note_today()
    if sources := noted():  # votes of today don't move them; a group that comes to own an idea does
        sources.add_list(ideas_of(board.scope_id or board.municipality_id), ANY)
    rows = await conn.fetch(
        midnight_statement(board.window), board.municipality_id, board.scope_id, today, DAYS.get(board.window), idea_ids
    )
    return {row[0]: row[1] for row in rows}
