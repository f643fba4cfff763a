"""Loads the demo municipality out of `ilola.toml`: the same every time, apart from being always as old as it says."""

import hashlib
import itertools
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from backend.db.pool import Connection
from backend.db.votes import recount

CONTENT: Final = Path(__file__).parent / "ilola.toml"
SLUG: Final = "ilola"
FOUNDED: Final = datetime(2026, 1, 1, tzinfo=UTC)
CROWD: Final = 220  # voters beside the named residents
FOLLOWERS: Final = 5  # every fifth voter follows what they voted for
CLOSES: Final = frozenset({"PLANNED", "TRIAL", "DONE", "DECLINED"})
# Accounts whose tokens `heitto demo` prints: key, the post whose holder it is, roles beside RESIDENT.
ACCOUNTS: Final = {
    "resident": (None, ()),
    "official": ("village_coordinator", ("OFFICIAL",)),
    "coordinator": ("participation_coordinator", ("OFFICIAL", "COORDINATOR")),
    "moderator": (None, ("MODERATOR",)),
    "administrator": (None, ("ADMINISTRATOR",)),
}
NAMES: Final = {"resident": "Kokeilija", "moderator": "Ilolan valvoja", "administrator": "Ilolan ylläpitäjä"}

Content = dict[str, Any]  # Any: TOML; its shape is described and checked in tests/test_demo_content.py


def seed(*parts: object) -> int:
    """A number that looks drawn by lot and is always the same."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=10).digest())


def made_id(when: datetime, *parts: object) -> UUID:
    """The UUIDv7 of a moment, its random part taken from `parts`."""
    random = seed(*parts)
    return UUID(
        int=int(when.timestamp() * 1000) << 80
        | 7 << 76
        | (random & 0xFFF) << 64
        | 2 << 62
        | random >> 12 & ((1 << 62) - 1)
    )


def fixed_id(kind: str, key: str) -> UUID:
    """The id of what has no age: the same in every demo."""
    return made_id(FOUNDED, kind, key)


@dataclass
class Loader:
    """Gathers rows table by table, then copies them in one go."""

    content: Content
    now: datetime
    rows: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start = self.now - timedelta(days=150)
        self.municipality_id = fixed_id("municipality", self.content["municipality"]["slug"])
        self.zone = ZoneInfo(self.content["municipality"]["time_zone"])

    def add(self, table: str, **columns: object) -> None:
        self.rows.setdefault(table, []).append({"municipality_id": self.municipality_id, **columns})

    async def write(self, conn: Connection) -> None:
        for table in (table for table in _TABLES if table in self.rows):
            rows = self.rows[table]
            columns = tuple(rows[0])
            records = [tuple(row[column] for column in columns) for row in rows]
            await conn.copy_records_to_table(table, records=records, columns=columns)

    def offices(self) -> None:
        """Districts, departments, posts with their holders, themes, who answers for what, and the demo's accounts."""
        for position, item in enumerate(self.content["districts"], start=1):
            self.add("districts", id=fixed_id("district", item["key"]), names=item["name"], position=position)
        for position, item in enumerate(self.content["departments"], start=1):
            self.add("departments", id=fixed_id("department", item["key"]), names=item["name"], position=position)
        for position, item in enumerate(self.content["themes"], start=1):
            self.add(
                "themes",
                id=fixed_id("theme", item["key"]),
                names=item["name"],
                department_id=fixed_id("department", item["department"]),
                is_general=item.get("general", False),
                position=position,
            )
        for position, item in enumerate(self.content["posts"], start=1):
            post_id = fixed_id("post", item["key"])
            self.add(
                "posts",
                id=post_id,
                department_id=fixed_id("department", item["department"]),
                titles=item["title"],
                is_coordinator=item.get("coordinator", False),
                position=position,
            )
            self.add("officials", id=fixed_id("official", item["key"]), post_id=post_id, **item["holder"])
        for item in self.content["responsibilities"]:
            self.add(
                "responsibilities",
                department_id=fixed_id("department", item["department"]),
                theme_id=fixed_id("theme", item["theme"]) if "theme" in item else None,
                district_id=fixed_id("district", item["district"]) if "district" in item else None,
                post_id=fixed_id("post", item["post"]),
            )
        holders = {item["key"]: item["holder"]["name"] for item in self.content["posts"]}
        for key, (post, roles) in ACCOUNTS.items():
            self.resident(
                key,
                name=holders[post] if post else NAMES[key],
                strength="STRONG" if roles else "EMAIL",
                official_id=fixed_id("official", post) if post else None,
            )
            for role in roles:
                self.add("resident_roles", resident_id=fixed_id("resident", key), role=role)

    def resident(self, key: str, *, name: str, strength: str, official_id: UUID | None = None) -> None:
        self.add(
            "residents",
            id=fixed_id("resident", key),
            display_name=name,
            locale="fi",
            strength=strength,
            official_id=official_id,
        )

    def people(self) -> None:
        for item in self.content["residents"]:
            self.resident(item["key"], name=item["display_name"], strength=item["strength"])
        for number in range(CROWD):
            strength = ("DEVICE", "DEVICE", "DEVICE", "EMAIL", "EMAIL", "STRONG")[seed("strength", number) % 6]
            self.resident(f"crowd-{number}", name=f"Asukas {1000 + seed('name', number) % 9000}", strength=strength)
        for item in self.content["groups"]:
            members = {
                **dict.fromkeys(item.get("pending", ()), "PENDING"),
                **dict.fromkeys(item["members"], "MEMBER"),
                **dict.fromkeys(item["contacts"], "CONTACT"),
            }
            self.add(
                "groups",
                id=fixed_id("group", item["key"]),
                display_name=item["display_name"],
                kind=item["kind"],
                description=item["description"],
                approves_members=item["approves_members"],
                member_count=sum(role != "PENDING" for role in members.values()),
            )
            for member, role in members.items():
                self.add(
                    "group_members",
                    group_id=fixed_id("group", item["key"]),
                    resident_id=fixed_id("resident", member),
                    role=role,
                    joined_at=self.start + timedelta(hours=seed(item["key"], member) % 1000),
                )

    def ideas(self) -> None:
        voters = [fixed_id("resident", item["key"]) for item in self.content["residents"]]
        voters += [fixed_id("resident", f"crowd-{number}") for number in range(CROWD)]
        strengths = {row["id"]: row["strength"] for row in self.rows["residents"]}
        ordered = sorted(self.content["ideas"], key=lambda item: -item["days_ago"])
        for number, item in enumerate(ordered, start=1):
            self.idea(number, item, voters, strengths)

    def idea(self, number: int, item: Content, voters: Sequence[UUID], strengths: dict[Any, Any]) -> None:
        created = self.now - timedelta(days=item["days_ago"])
        idea_id = made_id(created, "idea", item["title"])
        group_id = fixed_id("group", item["group"]) if "group" in item else None
        author_id = fixed_id("resident", item["author"])
        theme_id, district_id = (fixed_id(kind, item[kind]) if kind in item else None for kind in ("theme", "district"))
        case = _Case(self, item, created, idea_id)
        case.respond()
        hidden_at = created + timedelta(hours=2) if "hidden" in item else None
        day, zone, terms = created.astimezone(self.zone).date(), self.zone, self.content["municipality"]
        reaction_due, answer_due = (
            datetime.combine(day + timedelta(days=terms[days] + 1), datetime.min.time(), zone)
            - timedelta(milliseconds=1)
            for days in ("reaction_days", "answer_days")
        )
        self.add(
            "ideas",
            id=idea_id,
            number=number,
            title=item["title"],
            body=item["body"],
            locale=item["locale"],
            status=case.status,
            updated_at=case.updated_at,
            version=1 + len(item.get("responses", ())) + (case.status == "WITHDRAWN"),
            author_id=author_id,
            author_group_id=group_id,
            theme_id=theme_id,
            district_id=district_id,
            latitude=item.get("location", {}).get("latitude"),
            longitude=item.get("location", {}).get("longitude"),
            department_id=case.department_id,
            post_id=case.post_id,
            reaction_due_at=reaction_due,
            answer_due_at=answer_due,
            first_response_at=case.first_response_at,
            answered_at=case.answered_at,
            hidden_at=hidden_at,
            hidden_reason=item.get("hidden"),
            placed_on=case.updated_at.astimezone(zone).date(),
            was_listed=False,
            was_theme_id=theme_id,
            was_district_id=district_id,
        )
        self.add("idea_tallies", idea_id=idea_id, changed_on=day)
        self.add("follows", resident_id=author_id, idea_id=idea_id, followed_at=created)
        if group_id:
            self.add("idea_groups", idea_id=idea_id, group_id=group_id, position=1)
        if hidden_at:
            self.add(
                "moderations",
                id=made_id(hidden_at, "moderation", item["title"]),
                idea_id=idea_id,
                moderator_id=fixed_id("resident", "moderator"),
                hidden=True,
                reason=item["hidden"],
            )
        willing = sorted(
            (voter for voter in voters if voter != author_id), key=lambda voter: seed(item["title"], voter)
        )
        for n, (voter, cast_at) in enumerate(zip(willing, case.vote_times(), strict=False)):
            self.add(
                "votes",
                idea_id=idea_id,
                resident_id=voter,
                voted=True,
                strength=strengths[voter],
                channel="KIOSK" if seed(item["title"], voter, "channel") % 20 == 0 else "PHONE",
                cast_at=cast_at,
                decided_at=cast_at,
            )
            if n % FOLLOWERS == 0:
                self.add("follows", resident_id=voter, idea_id=idea_id, followed_at=cast_at)


class _Case:
    """What happened to one idea, told in order."""

    def __init__(self, loader: Loader, item: Content, created: datetime, idea_id: UUID) -> None:
        self.loader, self.item, self.created, self.idea_id = loader, item, created, idea_id
        self.status, self.updated_at = "OPEN", created
        self.first_response_at: datetime | None = None
        self.answered_at: datetime | None = None
        self.closed: list[tuple[datetime, datetime]] = []
        theme = next(theme for theme in loader.content["themes"] if theme["key"] == item["theme"])
        self._give(theme["department"])

    def _give(self, department: str, post: str | None = None) -> None:
        self.department = department
        self.department_id = fixed_id("department", department)
        self.post_id = fixed_id("post", post or self._responsible(department))

    def _responsible(self, department: str) -> str:
        """The same order as Catalogue.responsible_post."""
        theme, district = self.item["theme"], self.item.get("district")
        posts = {
            (item.get("theme"), item.get("district")): item["post"]
            for item in self.loader.content["responsibilities"]
            if item["department"] == department
        }
        keys = ((theme, district), (theme, None), (None, district), (None, None))
        return str(next(posts[key] for key in keys if key in posts))

    def respond(self) -> None:
        posts = {post["key"]: post for post in self.loader.content["posts"]}
        for response in self.item.get("responses", ()):
            at = self.created + timedelta(days=response["days_after"])
            before, self.status = self.status, response.get("new_status", self.status)
            due = response.get("next_step_due_days")
            to_department, to_post = response.get("to_department"), response.get("to_post")
            self.loader.add(
                "responses",
                id=made_id(at, "response", self.item["title"]),
                idea_id=self.idea_id,
                kind=response["kind"],
                body=response["body"],
                reasons=response.get("reasons"),
                next_step=response.get("next_step"),
                next_step_due_at=None if due is None else at + timedelta(days=due),
                official_id=fixed_id("official", response["post"]),
                department_id=fixed_id("department", posts[response["post"]]["department"]),
                to_department_id=fixed_id("department", to_department) if to_department else None,
                to_official_id=fixed_id("official", to_post) if to_post else None,
                status_before=before,
                status_after=self.status,
            )
            if to_department or to_post:
                self._give(to_department or self.department, to_post)
            self.first_response_at = self.first_response_at or at
            if response["kind"] == "DECISION":
                self.answered_at = self.answered_at or at
            self._mark(before, at)
            self.updated_at = at
        if self.item.get("withdrawn"):
            before, self.status = self.status, "WITHDRAWN"
            self.updated_at += timedelta(days=1)
            self._mark(before, self.updated_at)

    def _mark(self, before: str, at: datetime) -> None:
        """Keeps the times in which the idea took no votes."""
        now_closed, was_closed = (status in CLOSES or status == "WITHDRAWN" for status in (self.status, before))
        if now_closed and not was_closed:
            self.closed.append((at, self.loader.now))
        elif was_closed and not now_closed:
            self.closed[-1] = (self.closed[-1][0], at)

    def vote_times(self) -> Iterator[datetime]:
        """When each vote was cast: `recent_share` of them in the last 30 days, none while closed."""
        now, month_ago = self.loader.now, self.loader.now - timedelta(days=30)
        votes = self.item["votes"]
        recent = votes if self.created >= month_ago else round(votes * self.item["recent_share"])
        for n in range(votes):
            low, high = (max(self.created, month_ago), now) if n < recent else (self.created, min(now, month_ago))
            for attempt in itertools.count():
                share = seed(self.item["title"], n, attempt) % 1_000_000 / 1_000_000
                at = low + (high - low) * share
                if not any(start <= at <= end for start, end in self.closed):
                    yield at.replace(microsecond=at.microsecond // 1000 * 1000)
                    break


async def load_demo(conn: Connection, *, empty: bool) -> None:
    """Loads Ilola, in one transaction; with offices and nothing else where `empty`."""
    content = tomllib.loads(CONTENT.read_text("utf-8"))
    now = datetime.now(UTC).replace(microsecond=0)
    loader, terms = Loader(content, now), content["municipality"]
    loader.offices()
    if not empty:
        loader.people()
        loader.ideas()
    async with conn.transaction():
        await conn.copy_records_to_table(
            "municipalities",
            columns=("id", *(column for column, _ in _TERMS)),
            records=[(loader.municipality_id, *(terms[key] for _, key in _TERMS))],
        )
        await loader.write(conn)
        if not empty:
            last = max(row["number"] for row in loader.rows["ideas"])  # type: ignore[type-var] # numbers all
            await conn.copy_records_to_table(
                "idea_numbers", columns=("municipality_id", "last"), records=[(loader.municipality_id, last)]
            )
        await recount(conn, municipality_id=loader.municipality_id)


# What refers comes after what it refers to.
_TABLES: Final = (
    "districts",
    "departments",
    "posts",
    "officials",
    "themes",
    "responsibilities",
    "residents",
    "resident_roles",
    "groups",
    "group_members",
    "ideas",
    "idea_tallies",
    "idea_groups",
    "responses",
    "moderations",
    "follows",
    "votes",
)
_TERMS: Final = (
    ("slug", "slug"),
    ("names", "name"),
    ("population", "population"),
    ("time_zone", "time_zone"),
    ("locales", "locales"),
    ("vote_strength", "vote_strength"),
    ("reaction_days", "reaction_days"),
    ("answer_days", "answer_days"),
)
