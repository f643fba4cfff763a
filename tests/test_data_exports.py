"""A copy of everything held on somebody: complete, theirs alone, once, for a week."""

import asyncio
import re
from collections.abc import AsyncIterator
from traceback import format_exception
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx2
import orjson
import pytest

from backend.db.audit import record
from backend.db.data_exports import SECTIONS
from backend.db.pool import Pool, open_pool
from backend.demo.load import SLUG
from backend.ids import parse_id
from backend.jobs.export_data import PART_BYTES, export_data
from backend.jobs.prune import prune
from tests.api.test_sign_in import device, person, signed_in
from tests.conftest import OTHER, Api
from tests.contents import contents
from tests.test_erasure import FATES, GONE, STAYS, Life

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what a document holds is for the test to know
EXPORT = "export { id status requestedAt readyAt expiresAt downloadPath }"

# Tables that no section reads, each for its reason. All others must be read: a new one has to be put somewhere.
IN_NO_COPY = {
    "audit_heads": "of nobody",
    "ballot_imports": "of nobody",
    "data_export_parts": "the copies themselves",
    "departments": "offices",
    "districts": "offices",
    "idea_groups": "of groups",
    "idea_numbers": "of nobody",
    "idea_tallies": "totals",
    "imported_options": "of nobody",
    "municipalities": "offices",
    "pgqueuer": "jobs under way; mails in it are sealed",
    "pgqueuer_log": "names of jobs",
    "pgqueuer_schedules": "names of chores",
    "pgqueuer_statistics": "numbers",
    "public_changes": "ids of what changed in public, for an hour",
    "responsibilities": "offices",
    "schema_migrations": "of nobody",
    "status_transitions": "rules",
    "tally_days": "totals",
    "themes": "offices",
}


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    made = await open_pool(database_url, size=4)
    yield made
    await made.close()


async def request(api: Api, token: str, **input: object) -> Json:
    asked = {"idempotencyKey": str(uuid4()), **input}
    return await api.mutate("requestDataExport", asked, EXPORT, token=token)


async def make(api: Api, pool: Pool) -> None:
    """Runs the jobs that were asked for."""
    for payload in await api.conn.fetch("DELETE FROM pgqueuer WHERE entrypoint = 'export_data' RETURNING payload"):
        await export_data(pool, api.settings)(orjson.loads(payload[0]))


async def exports(api: Api, token: str) -> list[Json]:
    found = await api.data(f"{{ viewer {{ {EXPORT.replace('export', 'dataExports')} }} }}", token=token)
    rows: list[Json] = found["viewer"]["dataExports"]
    return rows


async def fetch(api: Api, path: str, token: str = "", **headers: str) -> httpx2.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.client.get(path, headers=sent | ({"authorization": f"Bearer {token}"} if token else {}))


async def test_a_copy_holds_everything_and_is_given_to_its_owner_once(api: Api, pool: Pool) -> None:
    life = Life(api)
    await life.live()
    asked = await request(api, life.token)
    assert asked["errors"] == [] and asked["export"]["status"] == "PENDING" and asked["export"]["downloadPath"] is None
    await make(api, pool)
    [ready] = await exports(api, life.token)
    assert ready["id"] == asked["export"]["id"] and ready["status"] == "READY"
    days = await api.conn.fetchval("SELECT expires_at - ready_at FROM data_exports")
    assert days.days == 7
    assert re.fullmatch(r"/personal-data/[\w-]{43}", ready["downloadPath"])

    stranger, elsewhere = await api.token(), await api.token(municipality=OTHER)
    for token, status in ((stranger, 404), ("", 401), ("x.y.z", 401), (elsewhere, 404)):
        answer = await fetch(api, ready["downloadPath"], token)
        assert (answer.status_code, "content-disposition" in answer.headers) == (status, False)
        assert answer.headers["cache-control"] == "private, no-store"
    assert (await fetch(api, ready["downloadPath"], elsewhere, heitto_municipality=SLUG)).status_code == 403
    assert (await fetch(api, ready["downloadPath"][:-1] + "_", life.token)).status_code == 404

    answer = await fetch(api, ready["downloadPath"], life.token)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["cache-control"] == "private, no-store"
    told = answer.json()
    everything = {*GONE.values(), *STAYS.values()} - {GONE["search"]}  # what is searched for is kept nowhere
    assert {each for each in everything if each not in answer.text} == set()
    assert told["profile"][0]["displayName"] == GONE["name"]
    assert told["identities"][0]["email"] == GONE["email"]
    assert told["sessions"][0]["deviceName"] == GONE["device"]
    assert len(told["votes"]) == 9 and len([vote for vote in told["votes"] if vote["voted"]]) == 8
    assert {"ideaId", "castAt", "decidedAt", "strength"} <= told["votes"][0].keys()
    assert len(told["ideas"]) == 8
    assert {(each["name"], each["role"]) for each in told["groups"]} == {
        (GONE["own group"], "CONTACT"),
        (STAYS["shared group"], "CONTACT"),
    }

    assert (await fetch(api, ready["downloadPath"], life.token)).status_code == 404, "once"
    [used] = await exports(api, life.token)
    assert (used["status"], used["downloadPath"]) == ("EXPIRED", None)
    assert await api.conn.fetchval("SELECT count(*) FROM data_export_parts") == 0


async def test_no_secret_is_readable_in_the_database(api: Api, pool: Pool) -> None:
    token = await api.token()
    await request(api, token)
    await make(api, pool)
    [ready] = await exports(api, token)
    secret = ready["downloadPath"].rpartition("/")[2]
    rows = await api.conn.fetch("SELECT e::text FROM data_exports AS e")
    assert [row for row in rows if secret in row[0]] == []


async def test_of_many_who_fetch_at_once_one_gets_it(api: Api, pool: Pool) -> None:
    token = await api.token()
    await request(api, token)
    await make(api, pool)
    [ready] = await exports(api, token)
    answers = await asyncio.gather(*(fetch(api, ready["downloadPath"], token) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 7


async def test_a_copy_can_be_asked_for_once_a_day_and_repeats_are_the_same(api: Api) -> None:
    token, key = await api.token(), str(uuid4())
    first = await request(api, token, idempotencyKey=key)
    assert (await request(api, token, idempotencyKey=key)) == first
    before = await contents(api.conn)
    refused = await request(api, token)
    assert refused == {"export": None, "errors": [{"code": "LIMIT_REACHED", "field": None}]}
    assert await contents(api.conn) == before
    await api.conn.execute("UPDATE data_exports SET requested_at = now() - interval '25 hours'")
    assert (await request(api, token))["errors"] == []
    tokens = [await api.token() for _ in range(2)]
    asked = await asyncio.gather(*(request(api, tokens[n % 2]) for n in range(8)))
    assert sorted(bool(each["export"]) for each in asked) == [False] * 6 + [True] * 2


async def test_what_isnt_fetched_expires_and_is_forgotten(api: Api, pool: Pool) -> None:
    token = await api.token()
    await request(api, token)
    await make(api, pool)
    [ready] = await exports(api, token)
    await prune(pool, api.settings)()
    assert await api.conn.fetchval("SELECT count(*) FROM data_export_parts") == 1
    await api.conn.execute("UPDATE data_exports SET expires_at = now() - interval '1 second'")
    assert (await fetch(api, ready["downloadPath"], token)).status_code == 404
    assert [each["status"] for each in await exports(api, token)] == ["EXPIRED"]
    await prune(pool, api.settings)()
    assert await api.conn.fetchval("SELECT count(*) FROM data_export_parts") == 0
    assert len(await exports(api, token)) == 1
    await api.conn.execute("UPDATE data_exports SET requested_at = now() - interval '31 days'")
    await prune(pool, api.settings)()
    assert await exports(api, token) == []


async def test_the_copy_of_a_large_account_is_made_in_pieces_and_twice_is_once(api: Api, pool: Pool) -> None:
    token = await api.token()
    id = parse_id((await api.data("{ viewer { resident { id } } }", token=token))["viewer"]["resident"]["id"])[1]
    idea = parse_id(await api.idea())[1]
    await api.conn.execute("SET session_replication_role = replica")  # ideas that aren't there are as long to tell
    await api.conn.execute(
        """
        INSERT INTO notifications (municipality_id, resident_id, event_id, kind, idea_id)
        SELECT $1, $2, gen_random_uuid(), 'RESPONSE', $3 FROM generate_series(1, 10000)
        """,
        api.catalogue.id,
        id,
        idea,
    )
    await api.conn.execute("SET session_replication_role = origin")
    asked = await request(api, token)
    assert asked["errors"] == []
    payload = orjson.loads(await api.conn.fetchval("SELECT payload FROM pgqueuer"))
    await make(api, pool)
    await export_data(pool, api.settings)(payload)
    sizes = [
        row[0] for row in await api.conn.fetch("SELECT octet_length(content) FROM data_export_parts ORDER BY number")
    ]
    assert len(sizes) > 4 and max(sizes) < PART_BYTES + 20_000
    [ready] = await exports(api, token)
    told = orjson.loads((await fetch(api, ready["downloadPath"], token)).content)
    assert len(told["notifications"]) == 10_000


async def test_no_table_is_missing_from_the_copy(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    tables = {row[0] for row in await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    sections = " ".join(SECTIONS.values())
    read = {table for table in tables if re.search(rf"\b(FROM|JOIN) {table}\b", sections)}
    assert read | IN_NO_COPY.keys() == tables == FATES.keys()
    columns = await conn.fetch(
        """
        SELECT conrelid::regclass::text FROM pg_constraint
        WHERE contype = 'f' AND confrelid = 'residents'::regclass
        """
    )
    assert {row[0] for row in columns} <= read, "what refers to an account is of a person"


async def test_what_an_account_did_before_it_was_joined_is_in_the_copy_too(api: Api) -> None:
    _, kept = await device(api)
    await signed_in(api, person("aino"), caller=kept)
    _, gone = await device(api)
    idea = parse_id(await api.idea())[1]
    await api.conn.execute(
        "INSERT INTO moderations (municipality_id, idea_id, moderator_id, hidden, reason) SELECT $1, $2, $3, true, 'x'",
        api.catalogue.id,
        idea,
        gone,
    )
    acted: Json = {"municipality_id": api.catalogue.id, "act": "IDEA_HIDDEN"}
    await record(api.conn, **acted, actor_id=gone, subject_id=idea)
    await record(api.conn, **acted, actor_id=None, subject_id=gone)
    await record(api.conn, **acted, actor_id=uuid4(), subject_id=idea)
    await signed_in(api, person("aino"), caller=gone)
    told = {
        name: [orjson.loads(row[0]) for row in await api.conn.fetch(SECTIONS[name], api.catalogue.id, kept)]
        for name in ("profile", "moderations", "audit_entries")
    }
    assert set(told["profile"][0]["accounts"]) == {str(kept), str(gone)}
    assert [each["reason"] for each in told["moderations"]] == ["x"]
    whose = [(each["byThisAccount"], each["toThisAccount"]) for each in told["audit_entries"]]
    assert whose == [(True, False), (None, True)]


async def test_each_section_is_of_the_account_alone(api: Api, pool: Pool) -> None:
    life = Life(api)
    await life.live()
    other = UUID(await api.conn.fetchval("SELECT id::text FROM residents WHERE id <> $1 LIMIT 1", life.id))
    for name, statement in SECTIONS.items():
        rows = await api.conn.fetch(statement, api.catalogue.id, other)
        assert not [row for row in rows if any(canary in row[0] for canary in GONE.values())], name
        assert await api.conn.fetch(statement, uuid4(), life.id) == [], name


async def test_what_postgresql_says_of_a_row_is_in_no_error_that_could_be_logged(api: Api) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await api.conn.execute("UPDATE municipalities SET population = $2 WHERE slug = $1", SLUG, -12300 - 45)
    shown = "".join(format_exception(caught.value))
    assert "municipalities_population_check" in shown and "12345" not in shown
    assert "12345" in (caught.value.detail or ""), "else this shows nothing"


async def test_asking_for_the_heads_alone_uses_nothing_up(api: Api, pool: Pool) -> None:
    token = await api.token()
    await request(api, token)
    await make(api, pool)
    [ready] = await exports(api, token)
    answer = await api.client.head(ready["downloadPath"], headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert (await fetch(api, ready["downloadPath"], token)).status_code == 200
