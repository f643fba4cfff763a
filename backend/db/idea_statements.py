"""The statements of idea lists: each filter in each order, in a time that doesn't grow with the number of ideas.

A page is read in one of two ways (ADR 0020). Where few ideas pass the filter, these are found by its index and sorted.
Where many do, the index of the order is walked until the page is full. Which of the two is chosen by a bounded count,
kept for a while: it decides about speed alone, never about what is answered.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Final
from uuid import UUID

import orjson

from backend.db.pool import Connection
from backend.db.statements import fill


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

    def asked(self) -> dict[str, object]:
        """Conditions by name, with the value of each; those of VALUELESS say it in their name."""
        asked = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        if self.overdue is False:
            return {"in_time" if name == "overdue" else name: value for name, value in asked.items()}
        return asked


# The condition of each filter, with {n} for its parameter. Only what is asked for gets into the statement.
CONDITIONS: Final = {
    "district_id": "i.district_id = ${n}::uuid",
    "theme_id": "i.theme_id = ${n}::uuid",
    "department_id": "i.department_id = ${n}::uuid",
    "post_id": "i.post_id = ${n}::uuid",
    "status": "i.status = ANY(${n}::text[]::idea_status[])",
    "words": (
        "(i.search @@ to_tsquery('simple', ${n}) OR i.search @@ to_tsquery('finnish', ${n})"
        " OR i.search @@ to_tsquery('swedish', ${n}))"
    ),
    # Each a range of the index; a comparison with a parameter would be none.
    "overdue": "i.due_at < now()",
    "in_time": "i.due_at >= now()",
    "group_id": (
        "i.id IN (SELECT g.idea_id FROM idea_groups AS g WHERE g.municipality_id = $1 AND g.group_id = ${n}::uuid)"
    ),
    "parent_group": (
        "i.id IN (SELECT g.idea_id FROM idea_groups AS g WHERE g.municipality_id = $1 AND g.group_id = parent.id)"
    ),
    "author_id": "i.author_id = ${n}::uuid",
    "voter_id": (
        "i.id IN (SELECT v.idea_id FROM votes AS v"
        " WHERE v.municipality_id = $1 AND v.resident_id = ${n}::uuid AND v.voted)"
    ),
}
VALUELESS: Final = frozenset({"overdue", "in_time", "parent_group"})
# One person's or group's: always sorted.
_ALWAYSFEW: Final = frozenset({"group_id", "parent_group", "author_id", "voter_id"})
# Each has an index that goes on with the id.
_ORDERED_BY_ID: Final = frozenset({"district_id", "theme_id", "department_id", "post_id"})
# Of each order the leading key (None: the id alone orders) by name, and the directions of key and id.
_ORDERS: Final = {
    "NEWEST": (None, "DESC", "DESC"),
    "OLDEST": (None, "ASC", "ASC"),
    "MOST_VOTED": ("t.vote_count", "DESC", "ASC"),
    "TRENDING": ("score", "DESC", "ASC"),
    "DUE_FIRST": ("i.due_at", "ASC", "ASC"),
}
ORDERS: Final = tuple(_ORDERS)
# Filters that an index in the order has, too.
_RANGES: Final = {
    "NEWEST": _ORDERED_BY_ID,
    "OLDEST": _ORDERED_BY_ID,
    "DUE_FIRST": frozenset({"overdue", "in_time"}),
}
_AFTER: Final = {"ASC": ">", "DESC": "<"}
_REVERSED: Final = {"ASC": "DESC", "DESC": "ASC"}
# OFFSET 0: looked up for each of the few, even where they are thought to be many.
_ITS_TALLY: Final = """CROSS JOIN LATERAL (
  SELECT t.municipality_id, t.idea_id, t.vote_count, t.{slot}_day, t.{slot}_score
  FROM idea_tallies AS t WHERE t.municipality_id = $1 AND t.idea_id = i.id OFFSET 0
) AS t"""
_SCORE: Final = "CROSS JOIN LATERAL (SELECT {trending_score} AS score) AS s"
_TALLIES: Final = "idea_tallies AS t JOIN ideas AS i ON i.municipality_id = t.municipality_id AND i.id = t.idea_id"
# The ends of the index, which need no statistics to be found there.
_LACKING: Final = """(
  (SELECT min(o.{slot}_day) FROM idea_tallies AS o WHERE o.municipality_id = $1) < $4
  OR (SELECT max(o.{slot}_day) FROM idea_tallies AS o WHERE o.municipality_id = $1) > $4
)"""
LISTED: Final = ("OPEN", "UNDER_REVIEW", "PLANNED", "TRIAL", "DONE", "DECLINED")
_CONDITION_OF_STATUS: Final = "'{{status}}'::idea_status = ANY(${n}::text[]::idea_status[])"
# What a page's statement is given first; the filters' values and the cursor's key and id follow.
_PARAMETERS: Final = 6
# Rows to plan for. A limit that is a parameter would be planned as a tenth of all rows.
_LIMITS: Final = (21, 51, 101)


@cache
def page_statement(
    order: str,
    filters: tuple[str, ...],
    *,
    beyond: bool,
    backwards: bool,
    few: bool,
    limit: int,
    slot: str,
    late: bool = False,
) -> str:
    """The statement of one kind of page: $1 municipality, $2 viewer moderates, $3 viewer, $4 local day, $5 limit,
    $6 the parents (groups whose ideas are asked for; one null for a list of the whole municipality).

    `few` sorts what passes the filter; otherwise the order's index is walked. `slot` holds the scores of the day. Where
    the third column is true, or there is no row, there may be ideas without such scores, which only `late` has too.
    """
    key, key_way, id_way = _ORDERS[order]
    if backwards:
        key_way, id_way = _REVERSED[key_way], _REVERSED[id_way]
    walked_away = frozenset() if few else frozenset(filters) - _RANGES.get(order, frozenset())
    conditions, next_parameter = _conditions(filters, walked_away)
    place = _place(order, next_parameter, key_way, id_way) if beyond else None
    parts = (_sorted if few and not _has_own_index(order, filters) else _walked)(
        order, slot, filters, conditions, place
    )
    if late:
        parts += _late(slot, conditions, place)
    ways = f"key {key_way}, id {id_way}"
    most = next((most for most in _LIMITS if most >= limit), limit)
    found = " UNION ALL ".join(
        f"(SELECT {part.key} AS key, {part.id} AS id FROM {part.source} WHERE {' AND '.join(part.where)}"  # noqa: S608 # put together from the texts of this module and sql/queries/ideas.sql alone
        f" ORDER BY {f'{part.key} {key_way}, ' if key else ''}{part.id} {id_way} LIMIT {most})"
        for part in parts
    )
    lacking = _LACKING.format(slot=slot) if order == "TRENDING" and not few and not late else "false"
    number = "(extract(epoch FROM page.key) * 1000)::bigint" if order == "DUE_FIRST" else "page.key::bigint"
    return fill(
        f"""
        SELECT parent.number, {number}, {lacking}, idea.*
        FROM unnest($6::uuid[]) WITH ORDINALITY AS parent (id, number)
        CROSS JOIN LATERAL (SELECT key, id FROM ({found}) AS parts ORDER BY {ways} LIMIT $5) AS page
        CROSS JOIN LATERAL (
          SELECT {{idea_columns}} FROM {{idea_tables}} WHERE i.municipality_id = $1 AND i.id = page.id
        ) AS idea
        WHERE $4::date IS NOT NULL
        ORDER BY parent.number, page.{ways.replace(", ", ", page.")}
        """  # noqa: S608 # likewise
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the ideas that a page may hold, each in the order: their key, their id, where they are."""

    source: str
    where: list[str]
    key: str
    id: str = "i.id"


@dataclass(frozen=True, slots=True)
class _Place:
    """The cursor's key and id as SQL, and how what lies beyond compares with them."""

    key: str
    id: str
    further: str
    further_id: str

    def beyond(self, part: _Part) -> _Part:
        level = f"({part.key} = {self.key} AND {part.id} {self.further_id} {self.id})"
        return replace(part, where=[*part.where, f"({part.key} {self.further} {self.key} OR {level})"])

    def ranges(self, part: _Part) -> list[_Part]:
        """Those level with the cursor and those beyond it apart: each is one range of an index."""
        level = [f"{part.key} = {self.key}", f"{part.id} {self.further_id} {self.id}"]
        return [
            replace(part, where=[*part.where, *level]),
            replace(part, where=[*part.where, f"{part.key} {self.further} {self.key}"]),
        ]


def _place(order: str, parameter: int, key_way: str, id_way: str) -> _Place:
    key, id = f"${parameter}::bigint", f"${parameter + 1}::uuid"
    return _Place(f"to_timestamp({key} / 1000.0)" if order == "DUE_FIRST" else key, id, _AFTER[key_way], _AFTER[id_way])


def _conditions(filters: tuple[str, ...], unindexed: frozenset[str]) -> tuple[list[str], int]:
    """What every idea of the list must be, and the number of the parameter after the filters'."""
    written, parameter = ["i.municipality_id = $1", "{idea_visible}"], _PARAMETERS + 1
    for name in filters:
        condition = CONDITIONS[name].format(n=parameter)
        # IS TRUE changes nothing but keeps the condition from an index, so that the order's own is walked.
        written.append(f"({condition}) IS TRUE" if name in unindexed else condition)
        parameter += name not in VALUELESS
    written.append("i.status <> 'MERGED'" if "author_id" in filters else "i.status NOT IN ('MERGED', 'WITHDRAWN')")
    return written, parameter


def _has_own_index(order: str, filters: tuple[str, ...]) -> bool:
    return _ORDERS[order][0] is None and len(filters) <= 1 and _ORDERED_BY_ID.issuperset(filters)


def _walked(
    order: str, slot: str, filters: tuple[str, ...], conditions: list[str], place: _Place | None
) -> list[_Part]:
    if order in {"NEWEST", "OLDEST"}:
        beyond = [f"{place.key} = 0", f"i.id {place.further_id} {place.id}"] if place else []
        return [_Part("ideas AS i", [*conditions, *beyond], "0")]
    if order == "DUE_FIRST":
        wholes = [_Part("ideas AS i", [*conditions, *status], "i.due_at") for status in _statuses(filters)]
    elif order == "MOST_VOTED":
        wholes = [_Part(_TALLIES, [*conditions, "t.municipality_id = $1"], "t.vote_count", "t.idea_id")]
    else:
        ready = [*conditions, "t.municipality_id = $1", f"t.{slot}_day = $4"]
        wholes = [_Part(_TALLIES, ready, f"t.{slot}_score", "t.idea_id")]
    return [part for whole in wholes for part in (place.ranges(whole) if place else [whole])]


def _statuses(filters: tuple[str, ...]) -> list[list[str]]:
    """Each status apart: those that are answered all lie behind those that aren't, far to walk for a page of them."""
    if "status" not in filters:
        return [[]]
    asked = _CONDITION_OF_STATUS.format(n=_PARAMETERS + 1 + [n for n in filters if n not in VALUELESS].index("status"))
    return [[f"i.status = '{status}'", asked.format(status=status)] for status in LISTED]


def _late(slot: str, conditions: list[str], place: _Place | None) -> list[_Part]:
    """Those whose TRENDING score the worker didn't make ready: none, or all where there is no worker."""
    parts = [
        _Part(f"{_TALLIES} {_SCORE}", [*conditions, "t.municipality_id = $1", f"t.{slot}_day {apart} $4"], "s.score")
        for apart in ("<", ">")
    ]
    return [place.beyond(part) for part in parts] if place else parts


def _sorted(
    order: str, slot: str, filters: tuple[str, ...], conditions: list[str], place: _Place | None
) -> list[_Part]:
    # OFFSET 0: what passes the filter is found first, by the filter's index.
    source = f"(SELECT i.id, i.due_at FROM ideas AS i WHERE {' AND '.join(conditions)} OFFSET 0) AS i"  # noqa: S608 # likewise
    tallies = f"{source} {_ITS_TALLY.format(slot=slot)}"
    if order in {"NEWEST", "OLDEST"}:
        beyond = [f"{place.key} = 0", f"i.id {place.further_id} {place.id}"] if place else ["true"]
        return [_Part(source, beyond, "0")]
    whole = {
        "DUE_FIRST": _Part(source, ["true"], "i.due_at"),
        "MOST_VOTED": _Part(tallies, ["true"], "t.vote_count"),
        "TRENDING": _Part(
            f"{tallies} CROSS JOIN LATERAL (SELECT CASE WHEN t.{slot}_day = $4 THEN t.{slot}_score"
            " ELSE {trending_score} END AS score) AS s",
            ["true"],
            "s.score",
        ),
    }[order]
    return [place.beyond(whole) if place else whole]


# Ideas up to which sorting is taken. At a million ideas about as many are passed over by walking to a full page of a
# filter that twice as many pass.
FEW = 2_000
# An estimate of so many times that is believed.
_SURELY_MANY: Final = 20
_KEPT_SECONDS: Final = 600.0
_MOST_KEPT: Final = 10_000
_known: dict[tuple[object, ...], tuple[bool, float]] = {}


def forget() -> None:
    """Counts anew from here on."""
    _known.clear()
    count_statement.cache_clear()


async def few_ideas(
    conn: Connection, *, municipality_id: UUID, order: str, names: tuple[str, ...], values: Sequence[object]
) -> bool:
    """Whether few ideas pass a filter; as it was at most ten minutes ago."""
    if not names or _has_own_index(order, names):
        return False
    if not _ALWAYSFEW.isdisjoint(names):
        return True
    key = (municipality_id, names, *values)
    few, until = _known.get(key, (False, 0.0))
    if time.monotonic() < until:
        return few
    count = await _estimate(conn, names, municipality_id, values) if "words" in names else 0
    if count < _SURELY_MANY * FEW:
        count = await conn.fetchval(count_statement(names), municipality_id, *values)
    few = count <= FEW
    if len(_known) >= _MOST_KEPT:
        forget()
    _known[key] = few, time.monotonic() + _KEPT_SECONDS
    return few


async def _estimate(conn: Connection, names: tuple[str, ...], municipality_id: UUID, values: Sequence[object]) -> int:
    """PostgreSQL's own, out of its statistics: counting the ideas with a word reads all of them before the first."""
    plan = await conn.fetchval(f"EXPLAIN (FORMAT JSON) {_passing(names)}", municipality_id, *values)
    rows: int = orjson.loads(plan)[0]["Plan"]["Plan Rows"]
    return rows


@cache
def count_statement(filters: tuple[str, ...]) -> str:
    """How many ideas of municipality $1 pass a filter; those beyond FEW are not counted."""
    return f"SELECT count(*) FROM ({_passing(filters)} LIMIT {FEW + 1}) AS counted"  # noqa: S608 # likewise


def _passing(filters: tuple[str, ...]) -> str:
    where, parameter = ["i.municipality_id = $1"], 2
    for name in filters:
        where.append(CONDITIONS[name].format(n=parameter))
        parameter += name not in VALUELESS
    return f"SELECT i.id FROM ideas AS i WHERE {' AND '.join(where)}"  # noqa: S608 # likewise
