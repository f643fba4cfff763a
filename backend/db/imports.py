"""Participatory-budgeting files loaded in bulk. Everything here runs inside one transaction of the caller's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.db.pool import Connection
from backend.db.statements import statements

SQL = statements("imports")
LOAD_SECONDS = 600


@dataclass(frozen=True, slots=True)
class OptionRow:
    """An option of a file as the idea it becomes. The order of the fields is that of `add_ideas`' arguments."""

    idea_id: UUID
    title: str
    body: str
    theme_id: UUID
    district_id: UUID | None
    department_id: UUID
    post_id: UUID
    latitude: float | None
    longitude: float | None
    project_id: str
    published_votes: int | None
    details: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class VoterRow:
    """What a file tells of a voter."""

    resident_id: UUID
    voter_id: str
    age: int | None
    age_group: str | None
    sex: str | None
    area: str | None


@dataclass(frozen=True, slots=True)
class TotalRow:
    """Counted votes of an option: as its tally has them, and as its rows add up."""

    project_id: str
    tally: int
    votes: int


async def lift_timeouts(conn: Connection) -> None:
    await conn.execute(SQL["lift_timeouts"])


async def make_municipality(
    conn: Connection, *, slug: str, name: str, locale: str, time_zone: str, rate_limits_lifted: bool
) -> UUID | None:
    """The new municipality; None where the slug is taken."""
    made: UUID | None = await conn.fetchval(
        SQL["make_municipality"], slug, {locale: name}, time_zone, locale, rate_limits_lifted
    )
    return made


async def hold_municipality(conn: Connection, *, slug: str) -> UUID:
    held: UUID = await conn.fetchval(SQL["hold_municipality"], slug)
    return held


async def add_themes(conn: Connection, *, municipality_id: UUID, locale: str, names: Sequence[str]) -> None:
    await conn.execute(SQL["add_themes"], municipality_id, locale, names)


async def add_districts(conn: Connection, *, municipality_id: UUID, locale: str, names: Sequence[str]) -> None:
    await conn.execute(SQL["add_districts"], municipality_id, locale, names)


async def record_import(
    conn: Connection, *, municipality_id: UUID, file_sha256: bytes, file_name: str, meta: Mapping[str, str]
) -> UUID:
    """Raises UniqueViolationError `ballot_imports_file_key` where the municipality holds this file."""
    made: UUID = await conn.fetchval(SQL["record_import"], municipality_id, file_sha256, file_name, meta)
    return made


async def new_ids(conn: Connection, *, count: int) -> list[UUID]:
    return await conn.fetchval(SQL["new_ids"], count) or []


async def add_ideas(
    conn: Connection, *, municipality_id: UUID, import_id: UUID, locale: str, options: Sequence[OptionRow]
) -> None:
    idea_ids, titles, bodies, *rest = zip(*map(_values, options), strict=True)
    await conn.execute(SQL["add_ideas"], municipality_id, import_id, idea_ids, titles, bodies, locale, *rest)


def _values(row: OptionRow) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in OptionRow.__slots__)


async def copy_residents(
    conn: Connection, *, municipality_id: UUID, locale: str, strength: str, names: Iterable[tuple[UUID, str]]
) -> None:
    """Accounts that nobody can sign in to. `names` are (id, display name)."""
    await conn.copy_records_to_table(
        "residents",
        columns=("municipality_id", "id", "display_name", "locale", "strength"),
        records=((municipality_id, id, name, locale, strength) for id, name in names),
        timeout=LOAD_SECONDS,
    )


async def copy_voters(conn: Connection, *, municipality_id: UUID, import_id: UUID, voters: Iterable[VoterRow]) -> None:
    await conn.copy_records_to_table(
        "imported_voters",
        columns=("municipality_id", "import_id", "resident_id", "voter_id", "age", "age_group", "sex", "area"),
        records=(
            (municipality_id, import_id, v.resident_id, v.voter_id, v.age, v.age_group, v.sex, v.area) for v in voters
        ),
        timeout=LOAD_SECONDS,
    )


async def copy_votes(
    conn: Connection,
    *,
    municipality_id: UUID,
    strength: str,
    cast_at: datetime,
    votes: Iterable[tuple[UUID, UUID, str]],
) -> None:
    """`votes` are (idea, resident, channel). Needs `votes.recount` afterwards."""
    await conn.copy_records_to_table(
        "votes",
        columns=(
            "municipality_id", "idea_id", "resident_id", "voted", "strength", "channel", "cast_at", "decided_at",
        ),
        records=(
            (municipality_id, idea_id, resident_id, True, strength, channel, cast_at, cast_at)
            for idea_id, resident_id, channel in votes
        ),
        timeout=LOAD_SECONDS,
    )  # fmt: skip


async def hold_ideas(conn: Connection, *, municipality_id: UUID) -> None:
    await conn.execute(SQL["hold_ideas"], municipality_id)


async def import_totals(conn: Connection, *, municipality_id: UUID, import_id: UUID) -> list[TotalRow]:
    rows = await conn.fetch(SQL["import_totals"], municipality_id, import_id, timeout=LOAD_SECONDS)
    return [TotalRow(row[0], row[1], row[2]) for row in rows]
