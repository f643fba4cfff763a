"""A municipality and its offices: small, seldom changed, so read whole and kept by `catalogues.py`."""

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from backend.db.pool import Connection
from backend.db.statements import statements

SQL = statements("municipalities")
Names: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DistrictRow:
    id: UUID
    names: Names


@dataclass(frozen=True, slots=True)
class DepartmentRow:
    id: UUID
    names: Names


@dataclass(frozen=True, slots=True)
class ThemeRow:
    id: UUID
    names: Names
    department_id: UUID
    is_general: bool


@dataclass(frozen=True, slots=True)
class PostRow:
    id: UUID
    department_id: UUID
    titles: Names
    is_coordinator: bool


@dataclass(frozen=True, slots=True)
class OfficialRow:
    id: UUID
    post_id: UUID
    name: str
    email: str | None
    phone: str | None
    in_office: bool


_Row = TypeVar("_Row", DistrictRow, DepartmentRow, ThemeRow, PostRow, OfficialRow)


@dataclass(frozen=True)  # not slotted: the indexes below are made when first asked for
class Catalogue:
    """One municipality with its lists, as they stood when read."""

    id: UUID
    slug: str
    names: Names
    population: int
    time_zone: str
    locales: tuple[str, ...]
    vote_strength: str
    reaction_days: int
    answer_days: int
    rate_limits_lifted: bool
    districts: Mapping[UUID, DistrictRow]
    departments: Mapping[UUID, DepartmentRow]
    themes: Mapping[UUID, ThemeRow]
    posts: Mapping[UUID, PostRow]
    officials: Mapping[UUID, OfficialRow]
    responsibilities: Mapping[tuple[UUID, UUID | None, UUID | None], UUID]
    made: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)  # Any: by what is asked for
    """What others made of it, kept as long as it is."""

    @cached_property
    def version(self) -> str:
        """The same for the same contents, in every process."""
        return hashlib.blake2b(repr(self).encode(), digest_size=12).hexdigest()

    def day_ends(self) -> datetime:
        """The next local midnight."""
        zone = ZoneInfo(self.time_zone)
        return datetime.combine(datetime.now(zone).date() + timedelta(days=1), time(), zone)

    @cached_property
    def general_theme(self) -> ThemeRow:
        return next(theme for theme in self.themes.values() if theme.is_general)

    @cached_property
    def coordinator_post(self) -> PostRow:
        return next(post for post in self.posts.values() if post.is_coordinator)

    @cached_property
    def _holders(self) -> Mapping[UUID, OfficialRow]:
        return {official.post_id: official for official in self.officials.values() if official.in_office}

    @cached_property
    def coordinator(self) -> OfficialRow:
        """Who answers for what nobody else answers for; the last holder while the post is vacant."""
        post = self.coordinator_post.id
        return self._holders.get(post) or [o for o in self.officials.values() if o.post_id == post][-1]

    def holder(self, post_id: UUID) -> OfficialRow:
        """Who holds a post now; the coordinator while it is vacant."""
        return self._holders.get(post_id, self.coordinator)

    def officials_of(self, department_id: UUID) -> list[OfficialRow]:
        posts = (post.id for post in self.posts.values() if post.department_id == department_id)
        return [self._holders[post] for post in posts if post in self._holders]

    def department_of(self, official: OfficialRow) -> DepartmentRow:
        return self.departments[self.posts[official.post_id].department_id]

    def responsible_post(self, department_id: UUID, *, theme_id: UUID | None, district_id: UUID | None) -> UUID:
        """The post that answers in a department: theme and district, else theme, else district, else its head.

        The general theme goes to the coordinator where nobody is named for it."""
        places = [(theme_id, district_id), (theme_id, None)]
        if theme_id is None or not self.themes[theme_id].is_general:
            places += [(None, district_id), (None, None)]
        for theme, district in places:
            if post := self.responsibilities.get((department_id, theme, district)):
                return post
        return self.coordinator_post.id


async def slugs(conn: Connection) -> dict[str, UUID]:
    return {row["slug"]: row["id"] for row in await conn.fetch(SQL["slugs"])}


@dataclass(frozen=True, slots=True)
class Sender:
    """What a mail of the municipality says of it."""

    names: Names
    locales: tuple[str, ...]
    time_zone: str

    def name(self, locale: str) -> str:
        return self.names.get(locale) or next(iter(self.names.values()), "Heitto")


async def sender(conn: Connection, municipality_id: UUID) -> Sender:
    [row] = await conn.fetch(SQL["municipality_sender"], municipality_id)
    return Sender(row["names"], tuple(row["locales"]), row["time_zone"])


async def catalogue(conn: Connection, municipality_id: UUID) -> Catalogue | None:
    found = await conn.fetch(SQL["catalogue"], municipality_id)
    if not found:
        return None
    row = found[0]

    def uuids(values: list[Any], *places: int) -> list[Any]:  # Any: what JSON holds
        """jsonb has no UUIDs: those at `places` are made from their text."""
        return [UUID(value) if n in places and value else value for n, value in enumerate(values)]

    def rows(column: str, kind: Callable[..., _Row], *places: int) -> Mapping[UUID, _Row]:
        return MappingProxyType({item.id: item for item in (kind(*uuids(v, 0, *places)) for v in row[column])})

    return Catalogue(
        id=row["id"],
        slug=row["slug"],
        names=row["names"],
        population=row["population"],
        time_zone=row["time_zone"],
        locales=tuple(row["locales"]),
        vote_strength=row["vote_strength"],
        reaction_days=row["reaction_days"],
        answer_days=row["answer_days"],
        rate_limits_lifted=row["rate_limits_lifted"],
        districts=rows("districts", DistrictRow),
        departments=rows("departments", DepartmentRow),
        themes=rows("themes", ThemeRow, 2),
        posts=rows("posts", PostRow, 1),
        officials=rows("officials", OfficialRow, 1),
        responsibilities=MappingProxyType(
            {(a, b, c): post for a, b, c, post in (uuids(v, 0, 1, 2, 3) for v in row["responsibilities"])}
        ),
    )


async def set_vote_strength(conn: Connection, *, municipality_id: UUID, strength: str) -> int:
    """The transaction's number, for `seen_from_before`; tallies need a recount once nobody does."""
    number: int = await conn.fetchval(SQL["set_vote_strength"], municipality_id, strength)
    return number


async def seen_from_before(conn: Connection, *, transaction: int) -> bool:
    """Whether a statement under way began before that transaction was over."""
    found: bool = await conn.fetchval(SQL["seen_from_before"], transaction)
    return found


async def add_municipality(
    conn: Connection,
    *,
    slug: str,
    names: Names,
    population: int,
    time_zone: str,
    locales: Sequence[str],
    vote_strength: str,
    reaction_days: int,
    answer_days: int,
) -> UUID:
    """Raises UniqueViolationError `municipalities_slug_key`."""
    terms = (slug, dict(names), population, time_zone, locales, vote_strength, reaction_days, answer_days)
    made: UUID = await conn.fetchval(SQL["add_municipality"], *terms)
    return made


async def add_offices(
    conn: Connection, table: str, *, municipality_id: UUID, rows: Sequence[Mapping[str, object]]
) -> None:
    """Copies rows, alike in their columns, into one of the tables of offices."""
    if rows:
        columns = tuple(rows[0])
        records = [(municipality_id, *(row[column] for column in columns)) for row in rows]
        await conn.copy_records_to_table(table, records=records, columns=("municipality_id", *columns))
