"""Two municipalities side by side, each with everybody and one of everything, and a word of its own in every text."""

from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import asyncpg
import httpx2

from backend.demo.load import SLUG
from backend.ids import global_id, parse_id
from tests.conftest import OTHER, Api
from tests.contents import tenant_columns
from tests.login.idp import Idp
from tests.schema_walk import node_types
from tests.test_access import People, Scene, scene

Connection = asyncpg.Connection  # of whatever record

# A word for each municipality that is nowhere else. What shows the other's has leaked.
CANARIES = {SLUG: "vihervarpunen", OTHER: "punatulkku"}
# Texts that can't be any text, and why.
NO_CANARY = {
    "municipalities.slug": "it names the municipality to everybody",
    "municipalities.time_zone": "a name that the database knows",
    "municipalities.locales": "language tags",
    "ideas.locale": "a language tag",
    "residents.locale": "a language tag",
    "idempotency_keys.operation": "a name of ours",
    "idempotency_keys.key": "the caller's, unique with it",
    "responses.kind": "one of status_transitions",
    "ideas.search": "made from title and body",
    "audit_entries.act": "a code",
    "identities.kind": "a code",
    "identities.email": "an address, of EMAIL alone",
    "email_challenges.locale": "a language tag",
    "invitations.source": "a code",
    "login_attempts.locale": "a language tag",
    "public_changes.kind": "a code",
    "resident_roles.source": "a code",
    "revocations.kind": "a code",
}
OFFICES = """
WITH d AS (
  INSERT INTO departments (municipality_id, names, position) SELECT $1, '{"fi": "Toimiala"}', 150 RETURNING id
), t AS (
  INSERT INTO themes (municipality_id, names, department_id, position) SELECT $1, '{"fi": "Teema"}', id, 150 FROM d
), p AS (
  INSERT INTO posts (municipality_id, department_id, titles, position) SELECT $1, id, '{"fi": "Virka"}', 150 FROM d
  RETURNING id
)
INSERT INTO officials (municipality_id, post_id, name, email, phone) SELECT $1, id, 'Viranhaltija', 'v@x', '1' FROM p
"""
# What no operation writes here, so that every table has a row.
REST = """
WITH i AS (
  INSERT INTO ballot_imports (municipality_id, file_sha256, file_name, meta) VALUES ($1, '\\x00', 'f', '{"a": "b"}')
  RETURNING id
), o AS (
  INSERT INTO imported_options (municipality_id, import_id, idea_id, project_id, details)
  SELECT $1, id, $2, 'p', '{"a": "b"}' FROM i
), v AS (
  INSERT INTO imported_voters (municipality_id, import_id, resident_id, voter_id, age_group, sex, area)
  SELECT $1, id, $3, 'v', 'x', 'x', 'x' FROM i
), e AS (
  INSERT INTO identities (municipality_id, kind, subject_hash, resident_id, email)
  VALUES ($1, 'EMAIL', sha256($3::text::bytea), $3, 'osoite@' || $4 || '.example')
), r AS (
  INSERT INTO responsibilities (municipality_id, department_id, theme_id, post_id)
  SELECT $1, p.department_id, t.id, p.id FROM posts AS p
  JOIN themes AS t ON t.municipality_id = $1 AND t.department_id = p.department_id
  WHERE p.municipality_id = $1 AND p.position = 150 LIMIT 1
), c AS (
  INSERT INTO email_challenges (municipality_id, email_hash, sealed_email, code_hash, link_hash, locale, expires_at)
  SELECT $1, h, '', h, h, 'fi', now() + interval '1 hour' FROM sha256($3::text::bytea) AS h
), l AS (
  INSERT INTO login_attempts
    (municipality_id, state_hash, provider_id, redirect_uri, code_challenge, locale, expires_at)
  VALUES ($1, sha256($3::text::bytea), 'tunnus', 'https://x', 'x', 'fi', now() + interval '1 hour')
), k AS (
  INSERT INTO passkeys (municipality_id, resident_id, credential_hash, public_key, sign_count, name, last_used_at)
  VALUES ($1, $3, sha256($3::text::bytea), '\\x00', 0, 'Avain', now())
), x AS (
  INSERT INTO data_exports (municipality_id, resident_id, secret_hash, ready_at, expires_at)
  VALUES ($1, $3, sha256($3::text::bytea), now(), now() + interval '1 day')
), f AS (
  UPDATE invitations AS i SET role = 'OFFICIAL', official_id = o.id
  FROM officials AS o JOIN posts AS p ON p.municipality_id = o.municipality_id AND p.id = o.post_id
  WHERE i.municipality_id = $1 AND o.municipality_id = $1 AND p.position = 150
), s AS (
  UPDATE sessions SET device_name = 'Puhelin' WHERE municipality_id = $1
)
SELECT append_audit_entry($1, $3, 'ROLE_GRANTED', $3, '{}')
"""
# As if everything had been there the day before: what previousRank needs.
YESTERDAY = """
WITH t AS (
  UPDATE idea_tallies SET changed_on = current_date - 2, was_vote_count = vote_count WHERE municipality_id = $1
), d AS (
  UPDATE tally_days SET changed_on = current_date - 2, was_vote_count = vote_count, day = current_date - 2
  WHERE municipality_id = $1
)
UPDATE ideas SET placed_on = current_date - 2, was_listed = listed, was_theme_id = theme_id,
  was_district_id = district_id
WHERE municipality_id = $1
"""


@dataclass(frozen=True)
class Thing:
    """Something with an id. Its label is what tables call it."""

    label: str
    id: str

    @property
    def type_name(self) -> str:
        return parse_id(self.id)[0]


@dataclass(frozen=True)
class Town:
    people: People
    scene: Scene
    things: tuple[Thing, ...]
    uuids: frozenset[UUID] = frozenset()  # all that its rows hold

    @property
    def slug(self) -> str:
        return self.people.slug

    @property
    def canary(self) -> str:
        return CANARIES[self.slug]

    def id(self, label: str) -> str:
        return next(thing.id for thing in self.things if thing.label == label)

    def of_type(self, type_name: str) -> list[Thing]:
        return [thing for thing in self.things if thing.type_name == type_name]


@dataclass(frozen=True)
class Towns:
    here: Town
    there: Town
    silent: frozenset[str] = field(default_factory=frozenset)  # text columns without a canary

    def asked_through(self, api: Api, idp: Idp | None = None) -> "Towns":
        """The same, in a clone of their database, or by another process."""
        return replace(self, here=_moved(self.here, api, idp), there=_moved(self.there, api, idp))


def _moved(town: Town, api: Api, idp: Idp | None) -> Town:
    return replace(town, people=replace(town.people, api=api, idp=idp or town.people.idp))


async def build_towns(api: Api) -> Towns:
    towns = [await _build(api, slug) for slug in (SLUG, OTHER)]
    silent = await _sing(api.conn)
    here, there = [replace(town, uuids=await _uuids(api.conn, town)) for town in towns]
    shared = here.uuids & there.uuids
    assert shared <= {UUID(int=0)}, shared
    return Towns(here, there, silent)


async def _build(api: Api, slug: str) -> Town:
    municipality_id = await api.conn.fetchval("SELECT id FROM municipalities WHERE slug = $1", slug)
    await api.conn.execute(OFFICES, municipality_id)
    people = People(api, Idp("", "", httpx2.AsyncClient()), slug)  # nobody logs in with another meanwhile
    await people.gather()
    await api.conn.execute("UPDATE residents SET display_name = 'Nimi' WHERE municipality_id = $1", municipality_id)
    found = await scene(people)
    offices = await _offices(api.conn, municipality_id)
    elsewhere = next(thing.id for thing in offices if thing.label == "other department")
    district = next(thing.id for thing in offices if thing.label == "district")
    more = await _more(people, found, elsewhere=elsewhere, district=district)
    await api.conn.execute(REST, municipality_id, parse_id(found.idea)[1], people.ids["author"], slug)
    await api.conn.execute(YESTERDAY, municipality_id)
    things = [
        Thing("municipality", global_id("Municipality", municipality_id)),
        *offices,
        *(Thing(name, global_id("Resident", id)) for name, id in people.ids.items()),
        Thing("group", people.group),
        Thing("idea", found.idea),
        Thing("withdrawn idea", found.withdrawn),
        Thing("hidden idea", found.hidden),
        Thing("merged idea", found.merged),
        Thing("group's idea", found.of_group),
        Thing("hidden idea of the group", found.hidden_of_group),
        Thing("response to the hidden idea", found.response),
        Thing("notification", found.notification),
        Thing("session", found.session),
        Thing("passkey", global_id("Passkey", await _only(api.conn, "passkeys", municipality_id))),
        Thing("invitation", global_id("Invitation", await _only(api.conn, "invitations", municipality_id))),
        *more,
    ]
    missing = {type_.name for type_ in node_types()} - {thing.type_name for thing in things}
    assert not missing, f"put one of {missing} into a town, and say in test_sights.py who sees it"
    return Town(people, found, tuple(things))


async def _only(conn: "Connection[asyncpg.Record]", table: str, municipality_id: UUID) -> UUID:
    statement = f"SELECT id FROM {table} WHERE municipality_id = $1 ORDER BY id LIMIT 1"  # noqa: S608 # ours
    found: UUID = await conn.fetchval(statement, municipality_id)
    return found


async def _offices(conn: "Connection[asyncpg.Record]", municipality_id: UUID) -> list[Thing]:
    """The first of each, and those of the department that `OFFICES` made."""
    things = []
    for table in ("districts", "themes", "departments"):
        type_name = table.removesuffix("s").capitalize()
        rows = await conn.fetch(
            f"SELECT id, position = 150 AS other FROM {table} WHERE municipality_id = $1"  # noqa: S608 # ours
            " AND position IN (1, 150)",
            municipality_id,
        )
        things += [
            Thing(f"other {type_name.lower()}" if row["other"] else type_name.lower(), global_id(type_name, row["id"]))
            for row in rows
        ]
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (elsewhere) o.id, p.position = 150 AS elsewhere FROM officials AS o
        JOIN posts AS p ON p.municipality_id = o.municipality_id AND p.id = o.post_id
        JOIN themes AS t ON t.municipality_id = o.municipality_id AND t.department_id = p.department_id
        WHERE o.municipality_id = $1 AND (t.is_general OR p.position = 150) ORDER BY elsewhere, o.id
        """,
        municipality_id,
    )
    return things + [
        Thing("other official" if row["elsewhere"] else "official's post-holder", global_id("Official", row["id"]))
        for row in rows
    ]


async def _more(people: People, found: Scene, *, elsewhere: str, district: str) -> list[Thing]:
    """Votes, follows, an idea that was answered in every way, and notifications of others."""
    api, tokens = people.api, people.tokens
    voted, answered = [await people.idea() for _ in range(2)]
    place = {"location": {"latitude": 60.5, "longitude": 25.5}, "districtId": district}
    asked = {"ideaId": voted, "body": "Niille voi istua.", **place}
    await api.mutate("editIdea", asked, "idea { id }", token=tokens["author"])
    for name in ("device", "resident", "strong"):
        await api.set_vote(voted, token=tokens[name])
        for idea in (found.idea, voted):
            follow = {"subjectId": idea, "following": True}
            await api.mutate("setFollow", follow, "subject { id }", token=tokens[name])
    official = await api.data("{ viewer { official { id } } }", token=tokens["official"])
    steps: list[dict[str, object]] = [
        {"kind": "ASSIGNMENT", "toOfficialId": official["viewer"]["official"]["id"]},
        {"kind": "TRANSFER", "toDepartmentId": elsewhere},
        {
            "kind": "DECISION",
            "reasons": "Rahaa ei ole.",
            "nextStep": "Palaamme.",
            "nextStepDueAt": "2036-01-01T00:00:00Z",
            "newStatus": "DECLINED",
        },
    ]
    responses = []
    for step in steps:
        said = {"ideaId": answered, "body": "Luimme tämän.", "idempotencyKey": str(uuid4()), **step}
        made = await api.mutate("respondToIdea", said, "response { id }", token=tokens["coordinator"])
        assert made["errors"] == [], made
        responses.append(made["response"]["id"])
    about = await people.notification("author", answered)
    await api.conn.execute(
        "UPDATE notifications SET response_id = $2, read_at = now() WHERE id = $1",
        parse_id(about)[1],
        parse_id(responses[-1])[1],
    )
    return [
        Thing("voted idea", voted),
        Thing("declined idea", answered),
        Thing("response", responses[-1]),
        Thing("transfer", responses[1]),
        Thing("notification of a response", about),
        Thing("session of another", await people.session("applicant")),
        Thing("notification of another", await people.notification("applicant", found.idea)),
        Thing("notification about the hidden idea", await people.notification("applicant", found.hidden)),
    ]


async def _sing(conn: "Connection[asyncpg.Record]") -> frozenset[str]:
    """Writes each municipality's canary into every text that takes it. The columns that have none then."""
    silent = set()
    await conn.execute("SET session_replication_role = replica")
    for slug, canary in CANARIES.items():
        municipality_id = await conn.fetchval("SELECT id FROM municipalities WHERE slug = $1", slug)
        for table, column, type_ in await tenant_columns(conn):
            if f"{table}.{column}" not in NO_CANARY and not await _sung(
                conn, table, column, type_, canary, municipality_id
            ):
                silent.add(f"{table}.{column}")
    await conn.execute("SET session_replication_role = DEFAULT")
    return frozenset(silent)


async def _sung(
    conn: "Connection[asyncpg.Record]", table: str, column: str, type_: str, canary: str, municipality_id: UUID
) -> bool:
    """Whether any row took it: in all rows, or where something stood."""
    text = f"left('{canary} {table} {column} ' || ctid::text, 60)"
    of_object = f"(SELECT jsonb_object_agg(k, {text}) FROM jsonb_object_keys({column}) AS k)"  # noqa: S608 # as below
    new = {"jsonb": of_object, "_text": f"ARRAY[{text}]"}.get(type_, text)
    own = "id" if table == "municipalities" else "municipality_id"
    for where in ("", f"AND {column} IS NOT NULL"):
        try:
            async with conn.transaction():
                done = await conn.execute(
                    f'UPDATE "{table}" SET {column} = {new} WHERE {own} = $1 {where}',  # noqa: S608 # the catalogue's
                    municipality_id,
                )
        except asyncpg.IntegrityConstraintViolationError:
            continue
        return done != "UPDATE 0"
    return False


async def _uuids(conn: "Connection[asyncpg.Record]", town: Town) -> frozenset[UUID]:
    """Of everything that its rows name."""
    municipality_id = parse_id(town.id("municipality"))[1]
    found: set[UUID] = {municipality_id}
    for table, column, _ in await tenant_columns(conn, types=("uuid",)):
        if table != "municipalities":
            statement = f'SELECT DISTINCT {column} FROM "{table}" WHERE municipality_id = $1'  # noqa: S608 # likewise
            found |= {row[0] for row in await conn.fetch(statement, municipality_id) if row[0]}
    return frozenset(found)
