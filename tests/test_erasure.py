"""F10: who asks to be forgotten is found nowhere a minute later; what they took part in counts as before."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
import structlog
from structlog.testing import CapturingLogger

from backend.commands import erase_accounts
from backend.db import erasures
from backend.db.pool import Connection, Pool, open_pool, transaction
from backend.demo.load import SLUG
from backend.embedded.servers import Servers
from backend.ids import global_id, parse_id
from backend.jobs.erase import ask_erasure, erase
from backend.jobs.prune import erase_idle_devices
from backend.settings import Settings, load_settings
from backend.verify_audit import verify_audit
from backend.viewer import NOBODY
from tests.api.test_email_codes import requested, signed_in
from tests.api.test_sign_in import device, person
from tests.api.test_sign_in import signed_in as by_login
from tests.conftest import Api
from tests.contents import contents
from tests.erasing import in_folder, in_redis, in_tables, shown
from tests.test_jobs import worker

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what an answer holds is for the test to know

# Everything somebody may write or be known by. Each is in one place alone and like no other word.
GONE = {
    "name": "Kanaria1nimi",
    "email": "kanaria2posti@example.fi",
    "device": "Kanaria3laite",
    "unvoted title": "Kanaria4otsikko",
    "unvoted body": "Kanaria5teksti",
    "hidden title": "Kanaria6piilo",
    "own group": "Kanaria7ryhma",
    "own group's description": "Kanaria8kuvaus",
    "search": "Kanaria9haku",
    "own group's unvoted idea": "Kanaria10oma",
    "followed title": "Kanaria11seuraa",
    "moderator's word for the hidden one": "Kanaria12syy",
    "passkey": "Kanaria13avain",
}
# What others took part in is a public record, and stays: without its author.
STAYS = {
    "voted title": "Vilho1otsikko",
    "voted body": "Vilho2teksti",
    "answered title": "Vilho3vastattu",
    "shared group": "Vilho4ryhma",
    "shared group's idea": "Vilho5yhteinen",
    "own group's voted idea": "Vilho6oma",
}
# Append-only: why a moderator hid something is accounted for; and it says what stays of it.
RECORDS = {"moderations": {"Kanaria12syy"}}


WAITS = """
SELECT EXISTS (SELECT FROM pgqueuer) OR EXISTS (SELECT FROM residents WHERE erasure_asked_at IS NOT NULL)
"""


@dataclass
class Life:
    """Somebody who did all that can be done, and somebody else."""

    api: Api
    token: str = ""
    other: str = ""
    id: UUID = NOBODY
    ideas: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    async def idea(self, name: str, *, token: str = "", **input: object) -> str:
        self.ideas[name] = await self.api.idea(token=token or self.token, **input)
        return self.ideas[name]

    async def group(self, name: str, description: str = "") -> str:
        asked = {"displayName": name, "kind": "INFORMAL", "description": description, "idempotencyKey": str(uuid4())}
        made = await self.api.mutate("createGroup", asked, "group { id }", token=self.token)
        self.groups[name] = made["group"]["id"]
        return self.groups[name]

    async def live(self) -> None:
        api = self.api
        asked = {"locale": "fi", "displayName": GONE["name"], "idempotencyKey": str(uuid4())}
        session = await api.mutate("registerDevice", asked, "accessToken viewer { resident { id } }")
        self.token, self.other = session["accessToken"], await api.token()
        self.id = parse_id(session["viewer"]["resident"]["id"])[1]
        await self._prove()
        own = await self.group(GONE["own group"], GONE["own group's description"])
        shared = await self.group(STAYS["shared group"])
        await api.mutate("joinGroup", {"groupId": shared}, "group { id }", token=self.other)
        theirs = await self.idea("another's", token=self.other)
        place: Json = {"location": {"latitude": 61.4978, "longitude": 23.761}}
        await self.idea("unvoted", title=GONE["unvoted title"], body=GONE["unvoted body"], **place)
        await self.idea("voted", title=STAYS["voted title"], body=STAYS["voted body"])
        await self.idea("answered", title=STAYS["answered title"])
        await self.idea("hidden", title=GONE["hidden title"])
        await self.idea("followed", title=GONE["followed title"])
        await self.idea("of the shared group", title=STAYS["shared group's idea"], groupId=shared)
        await self.idea("of the own group", title=GONE["own group's unvoted idea"], groupId=own)
        await self.idea("of the own group, voted", title=STAYS["own group's voted idea"], groupId=own)
        for name in self.ideas:
            await api.set_vote(self.ideas[name], token=self.token)
        for name in ("voted", "of the own group, voted", "another's"):
            await api.set_vote(self.ideas[name], token=self.other)
        await api.set_vote(self.ideas["answered"], token=self.token, voted=False)
        for token in (self.token, self.other):
            await api.mutate("setFollow", {"subjectId": theirs, "following": True}, "__typename", token=token)
        follow = {"subjectId": self.ideas["followed"], "following": True}
        await api.mutate("setFollow", follow, "__typename", token=self.other)
        await self._staff()
        await self._read()

    async def sign_in(self, token: str = "") -> tuple[UUID, str]:
        """By a code that was mailed: whose account it is, and a token."""
        payload = await signed_in(self.api, GONE["email"], token=token)
        return parse_id(payload["viewer"]["resident"]["id"])[1], payload["accessToken"]

    async def _prove(self) -> None:
        id, self.token = await self.sign_in(self.token)
        assert id == self.id
        await requested(self.api, GONE["email"], token=self.token)  # a code that is never used
        await self.api.conn.execute(
            "UPDATE sessions SET device_name = $2 WHERE resident_id = $1", self.id, GONE["device"]
        )
        await self.api.conn.execute(
            """
            INSERT INTO passkeys (municipality_id, resident_id, credential_hash, public_key, sign_count, name)
            VALUES ($1, $2, sha256('x'), 'x', 0, $3)
            """,
            self.api.catalogue.id,
            self.id,
            GONE["passkey"],
        )
        await self.api.conn.execute(
            """
            INSERT INTO invitations (municipality_id, secret_hash, email, role, source, invited_by_id, expires_at)
            SELECT $1, sha256(address::bytea), address, 'MODERATOR', 'ADMINISTRATOR', inviter, now() + interval '1 day'
            FROM (VALUES ($2::text, NULL), ('other@example.fi', $3::uuid)) AS v (address, inviter)
            """,
            self.api.catalogue.id,
            GONE["email"],
            self.id,
        )

    async def _staff(self) -> None:
        api = self.api
        official, moderator = await api.token("OFFICIAL"), await api.token("MODERATOR")
        asked = {"kind": "RECEIPT", "body": "Luimme tämän.", "idempotencyKey": str(uuid4())}
        for name in ("answered", "another's"):
            asked = {**asked, "ideaId": self.ideas[name], "idempotencyKey": str(uuid4())}
            done = await api.mutate("respondToIdea", asked, "response { id }", token=official)
            assert done["errors"] == []
        reason = GONE["moderator's word for the hidden one"]
        await api.mutate("hideIdea", {"ideaId": self.ideas["hidden"], "reason": reason}, "idea { id }", token=moderator)

    async def _read(self) -> None:
        """Pages that show the person, read by everybody and so kept; and what the person looked for."""
        page = "{ ideas(first: 50) { nodes { title body author { displayName } groups { displayName description } } } }"
        for _ in range(2):
            assert GONE["name"] in (await self.api.post(page)).text
        find = """query ($text: String!) {
          similarIdeas(text: $text) { idea { id } } groups(filter: {search: $text}) { nodes { id } }
          ideas(filter: {search: $text}) { nodes { id } } }"""
        for token in ("", self.token):
            await self.api.data(find, {"text": GONE["search"]}, token=token)
        await self.api.data(
            f'{{ node(id: "{global_id("Resident", self.id)}") {{ id ... on Resident {{ displayName }} }} }}'
        )

    async def ask(self) -> Json:
        asked = {"displayName": GONE["name"]}
        return await self.api.mutate("eraseAccount", asked, "erasedBy", token=self.token)

    async def totals(self) -> dict[UUID, tuple[object, ...]]:
        rows = await self.api.conn.fetch(
            "SELECT idea_id, device_count, email_count, strong_count, vote_count FROM idea_tallies"
        )
        return {row[0]: tuple(row)[1:] for row in rows}

    async def votes(self) -> list[Any]:  # Any: rows
        return await self.api.conn.fetch("SELECT v::text FROM votes AS v ORDER BY 1")

    async def erased(self) -> None:
        async with asyncio.timeout(60):
            while await self.api.conn.fetchval(WAITS):  # noqa: ASYNC110 # another process ends it
                await asyncio.sleep(0.1)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """With mails in a folder and everything logged; a worker process is given the same."""
    folder = tmp_path / "mail"
    for name, value in (
        ("MAIL_FOLDER", str(folder)),
        ("SECRET_KEY", settings.secret_key.get_secret_value()),
        ("LOG_LEVEL", "debug"),
    ):
        monkeypatch.setenv(f"HEITTO_{name}", value)
    return settings.model_copy(update={"mail_folder": folder, "log_level": "debug"})


@pytest.fixture
async def life(api: Api) -> Life:
    made = Life(api)
    await made.live()
    return made


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    made = await open_pool(database_url, size=4)
    yield made
    await made.close()


async def run_erasure(life: Life, pool: Pool) -> None:
    await erase(pool, life.api.settings)({"municipality_id": str(life.api.catalogue.id), "resident_id": str(life.id)})


@pytest.mark.slow
async def test_f10_a_minute_after_an_erasure_the_person_is_nowhere_and_all_counts_stay(
    life: Life, settings: Settings, servers: Servers, capfd: pytest.CaptureFixture[str]
) -> None:
    api, everything = life.api, [*GONE.values(), *STAYS.values()]
    with worker(settings.database_url, settings.redis_url):
        export = await api.mutate(
            "requestDataExport", {"idempotencyKey": str(uuid4())}, "export { id status }", token=life.token
        )
        assert export["errors"] == []
        await life.erased()  # the copy is made, and its owner told
        folder = settings.mail_folder
        assert folder and in_folder(folder, [GONE["email"]])
        await api.boards_settled()
        before = await in_tables(api.conn, everything)
        assert set().union(*before.values()) == set(everything) - {GONE["search"]}, "else there is nothing to forget"
        assert before["data_export_parts"] >= {GONE["name"], GONE["email"], GONE["device"], GONE["unvoted title"]}
        assert GONE["name"] in set().union(*in_redis(settings.redis_url, everything).values())
        totals, votes = await life.totals(), await life.votes()

        began = time.monotonic()
        answer = await life.ask()
        assert answer["errors"] == [] and answer["erasedBy"]
        page = await api.post("{ ideas(first: 50) { nodes { title author { displayName } } } }")
        await asyncio.sleep(1.5)
        page = await api.post("{ ideas(first: 50) { nodes { title author { displayName } } } }")
        assert GONE["name"] not in page.text, "the name goes at once"
        await asyncio.sleep(3.5)
        assert await api.code("{ viewer { strength } }", token=life.token) == "UNAUTHENTICATED"
        await life.erased()
        async with asyncio.timeout(60 - (time.monotonic() - began)):
            while in_redis(settings.redis_url, [*GONE.values(), str(life.id), life.id.hex]):  # noqa: ASYNC110 # likewise
                await asyncio.sleep(0.5)

    after = await in_tables(api.conn, everything)
    assert {table: seen - set(STAYS.values()) for table, seen in after.items() if seen - set(STAYS.values())} == RECORDS
    assert set().union(*after.values()) - set(RECORDS["moderations"]) == set(STAYS.values())
    logged = capfd.readouterr()
    assert shown(logged.out + logged.err, GONE.values()) == set()
    lines = [line for line in (logged.out + logged.err).splitlines() if shown(line, [str(life.id), life.id.hex])]
    assert len(lines) == 1 and "account_erased" in lines[0], "who restores a backup needs the id, nobody else does"
    [goodbye] = folder.glob("*.eml")
    assert in_folder(folder, GONE.values()) == {} and b"undisclosed" in goodbye.read_bytes()
    logs = in_folder(servers.folder.path, ["PostgreSQL", *GONE.values()], pattern="server.log")
    assert list(logs.values()) == [{"PostgreSQL"}]

    assert await life.totals() == totals
    assert await life.votes() == votes
    await no_trace_in_the_api(life)
    await boards_are_those_of_sql(api)

    id, token = await life.sign_in()
    assert id == life.id, "by the same address one gets the same account"
    for idea in life.ideas.values():
        await api.set_vote(idea, token=token)
    rows = await api.conn.fetch("SELECT idea_id FROM votes GROUP BY idea_id, resident_id HAVING count(*) > 1")
    assert rows == []
    again = await life.totals()
    assert {id: each for id, each in again.items() if each != totals[id]} == {
        parse_id(life.ideas["answered"])[1]: (0, 1, 0, 1)  # the vote that had been taken back, cast again
    }
    await the_chain_holds(api)


async def no_trace_in_the_api(life: Life) -> None:
    api = life.api
    find = """query ($text: String!) {
      similarIdeas(text: $text, first: 20) { idea { id } } groups(filter: {search: $text}) { nodes { id } }
      ideas(filter: {search: $text}) { nodes { title author { displayName } location { latitude } } } }"""
    for text in GONE.values():
        found = await api.data(find, {"text": text})
        assert (found["groups"]["nodes"], found["ideas"]["nodes"]) == ([], []), text
    for name in ("voted title", "answered title", "own group's voted idea"):
        found = await api.data(find, {"text": STAYS[name]})
        assert found["ideas"]["nodes"] == [{"title": STAYS[name], "author": None, "location": None}]
    found = await api.data(find, {"text": STAYS["shared group's idea"]})
    assert found["ideas"]["nodes"][0]["author"] == {"displayName": STAYS["shared group"]}
    node = f'{{ node(id: "{global_id("Resident", life.id)}") {{ id }} }}'
    assert (await api.data(node))["node"] is None
    read = "{ nodes(ids: %s) { ... on Idea { title body status author { displayName } location { latitude } } } }"
    names = ["unvoted", "hidden", "of the own group", "followed"]
    ids = str([life.ideas[name] for name in names]).replace("'", '"')
    moderator = await api.token("MODERATOR")
    empty = {"title": "-", "body": "", "status": "WITHDRAWN", "author": None, "location": None}
    assert (await api.data(read % ids, token=moderator))["nodes"] == [empty] * 4
    vectors = await api.conn.fetch("SELECT search FROM ideas WHERE title = '-'")
    assert [row[0] for row in vectors] == [""] * 4
    groups = await api.conn.fetch("SELECT display_name, member_count FROM groups")
    assert [tuple(row) for row in groups] == [(STAYS["shared group"], 1)]
    contact = await api.data("{ viewer { groups { nodes { viewerRole } } } }", token=life.other)
    assert contact["viewer"]["groups"]["nodes"] == [{"viewerRole": "CONTACT"}], "somebody must be able to let others in"
    told = await api.conn.fetch("SELECT kind, count(*) FROM notifications GROUP BY kind ORDER BY kind")
    assert [tuple(row) for row in told] == [("RESPONSE", 1), ("STATUS_CHANGED", 1)], "who followed hears of it"


async def boards_are_those_of_sql(api: Api) -> None:
    await api.boards_settled()
    rows = await api.conn.fetch(
        """
        SELECT i.id, t.vote_count FROM ideas AS i JOIN idea_tallies AS t ON t.idea_id = i.id
        WHERE i.listed AND t.vote_count > 0 ORDER BY t.vote_count DESC, i.id
        """
    )
    board = await api.data("{ leaderboard(window: ALL_TIME, first: 100) { nodes { score idea { id } } } }")
    shown = [
        (parse_id(each["idea"]["id"])[1], each["score"]) for each in board["leaderboard"]["nodes"] if each["score"]
    ]
    assert shown == [tuple(row) for row in rows]


async def the_chain_holds(api: Api) -> None:
    lines, whole = await verify_audit(api.settings, slug=SLUG, expect="")
    assert whole and lines[0].startswith(f"{SLUG} "), lines
    entry = await api.conn.fetchrow("SELECT * FROM audit_entries WHERE act = 'ACCOUNT_ERASED'")
    assert entry and entry["details"] == '{"roles":[]}'
    async with api.conn.transaction():
        await api.conn.execute("SET LOCAL session_replication_role = replica")
        await api.conn.execute("UPDATE audit_entries SET details = '{\"roles\":{}}' WHERE act = 'ACCOUNT_ERASED'")
    lines, whole = await verify_audit(api.settings, slug=SLUG, expect="")
    assert not whole and lines == [f"{SLUG} is broken at entry {entry['sequence']}: changed"]


async def test_an_erasure_needs_the_persons_own_name_and_changes_nothing_without(life: Life) -> None:
    before = await contents(life.api.conn)
    for name, code in (("Joku Muu", "INVALID"), ("", "REQUIRED"), ("x" * 61, "TOO_LONG")):
        payload = await life.api.mutate("eraseAccount", {"displayName": name}, "erasedBy", token=life.token)
        assert payload == {"erasedBy": None, "errors": [{"code": code, "field": ["input", "displayName"]}]}
    assert await contents(life.api.conn) == before
    payload = await life.api.mutate(
        "eraseAccount", {"displayName": f" {GONE['name'].upper()} "}, "erasedBy", token=life.token
    )
    assert payload["errors"] == []


async def test_an_erasure_ends_every_session_and_hides_the_name_at_once(life: Life) -> None:
    api = life.api
    await life.ask()
    sessions = await api.conn.fetch("SELECT id, ended_at FROM sessions WHERE resident_id = $1", life.id)
    assert sessions and all(row["ended_at"] for row in sessions)
    revoked = await api.conn.fetch("SELECT subject_id FROM revocations WHERE kind = 'SESSION'")
    assert {row[0] for row in sessions} <= {row[0] for row in revoked}
    name = await api.conn.fetchval("SELECT display_name FROM residents WHERE id = $1", life.id)
    assert name == "-"
    due = await api.conn.fetchval("SELECT execute_after - now() FROM pgqueuer WHERE entrypoint = 'erase'")
    assert due.total_seconds() > 15, "not before every process has called the tokens back"


async def test_an_erasure_that_was_killed_anywhere_goes_on_and_a_repeat_does_nothing(
    life: Life, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await life.ask()
    totals = await life.totals()
    for step in ("groups_of", "settle_left_group", "hold_ideas_of", "forget_ideas", "forget_some", "forget_resident"):
        done = getattr(erasures, step)

        async def dies(*args: object, done: Any = done, **named: object) -> None:  # Any: each has its own arguments
            await done(*args, **named)
            raise OSError("killed")

        with monkeypatch.context() as patch:
            patch.setattr(erasures, step, dies)
            with pytest.raises(OSError, match="killed"):
                await run_erasure(life, pool)
    assert await life.api.conn.fetchval("SELECT count(*) FROM audit_entries WHERE act = 'ACCOUNT_ERASED'") == 0
    await run_erasure(life, pool)
    assert await life.totals() == totals
    found = await in_tables(life.api.conn, GONE.values())
    assert found == RECORDS
    assert await life.api.conn.fetchval("SELECT count(*) FROM audit_entries WHERE act = 'ACCOUNT_ERASED'") == 1

    id, token = await life.sign_in()
    assert id == life.id, "by the same address one gets the same account"
    await life.api.idea(token=token)
    before = await contents(life.api.conn)
    await run_erasure(life, pool)  # the queue gives a job again whose worker died at its very end
    assert await contents(life.api.conn) == before, "who came back is not forgotten again"


@pytest.mark.parametrize("step", [3, 5, 7])
async def test_a_run_that_another_one_overtook_takes_nothing_from_who_came_back(
    life: Life, pool: Pool, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The queue gives a job again whose worker it hasn't heard of for some seconds, though that may go on."""
    await life.ask()
    begun, before = 0, {}

    @asynccontextmanager
    async def stalling(pool: Pool) -> AsyncIterator[Connection]:
        nonlocal begun, before
        begun += 1
        if begun == step + 1:
            with monkeypatch.context() as meanwhile:
                meanwhile.setattr("backend.jobs.erase.transaction", transaction)
                await run_erasure(life, pool)
            _, token = await life.sign_in()
            idea = await life.api.idea(token=token)
            await life.api.mutate("setFollow", {"subjectId": idea, "following": True}, "__typename", token=token)
            before = await contents(life.api.conn)
        async with transaction(pool) as conn:
            yield conn

    monkeypatch.setattr("backend.jobs.erase.transaction", stalling)
    await run_erasure(life, pool)
    assert before and await contents(life.api.conn) == before


async def test_large_accounts_are_erased_in_batches(life: Life, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.jobs.erase.IDEAS_AT_ONCE", 3)
    monkeypatch.setattr("backend.jobs.erase.ROWS_AT_ONCE", 2)
    await life.ask()
    await run_erasure(life, pool)
    assert await in_tables(life.api.conn, GONE.values()) == RECORDS
    for table in ("follows", "notifications", "group_members", "sessions", "passkeys", "email_challenges"):
        count = await life.api.conn.fetchval(f"SELECT count(*) FROM {table} WHERE resident_id = $1", life.id)  # noqa: S608 # named above
        assert count == 0, table


async def test_staff_is_erased_with_its_roles_and_what_it_signed_stays(api: Api, pool: Pool) -> None:
    token = await api.token("COORDINATOR")
    viewer = (await api.data("{ viewer { resident { id displayName } official { name } } }", token=token))["viewer"]
    id = parse_id(viewer["resident"]["id"])[1]
    idea = await api.idea()
    asked = {"ideaId": idea, "kind": "RECEIPT", "body": "Luimme tämän.", "idempotencyKey": str(uuid4())}
    await api.mutate("respondToIdea", asked, "response { id }", token=token)
    asked = {"displayName": viewer["resident"]["displayName"]}
    assert (await api.mutate("eraseAccount", asked, "erasedBy", token=token))["errors"] == []
    await erase(pool, api.settings)({"municipality_id": str(api.catalogue.id), "resident_id": str(id)})
    assert await api.conn.fetchval("SELECT count(*) FROM resident_roles WHERE resident_id = $1", id) == 0
    row = await api.conn.fetchrow("SELECT official_id, locale FROM residents WHERE id = $1", id)
    assert row and tuple(row) == (None, "und")
    entry = await api.conn.fetchrow("SELECT subject_id, details FROM audit_entries WHERE act = 'ACCOUNT_ERASED'")
    assert entry and tuple(entry) == (id, '{"roles":["COORDINATOR"]}')
    read = f'{{ node(id: "{idea}") {{ ... on Idea {{ latestResponse {{ official {{ name }} }} }} }} }}'
    signed = (await api.data(read))["node"]["latestResponse"]["official"]["name"]
    assert signed == viewer["official"]["name"], "an official answers in office, not in person"


async def test_devices_that_nobody_can_use_any_more_are_erased_after_two_years(api: Api, pool: Pool) -> None:
    made = await api.conn.fetch(
        """
        INSERT INTO residents (municipality_id, id, display_name, locale, strength)
        SELECT $1, uuidv7(make_interval(days => -age)), name, 'fi', strength::identity_strength FROM (VALUES
          ('idle', 731, 'DEVICE'), ('young', 729, 'DEVICE'), ('signed in', 731, 'DEVICE'), ('by mail', 731, 'EMAIL'),
          ('voted lately', 731, 'DEVICE'), ('of a file', 731, 'DEVICE'), ('signed out', 731, 'DEVICE')
        ) AS v (name, age, strength)
        RETURNING display_name, id
        """,
        api.catalogue.id,
    )
    ids = {row[0]: row[1] for row in made}
    for name, ended in (("signed in", False), ("signed out", True)):
        await api.conn.execute(
            """
            INSERT INTO sessions (municipality_id, resident_id, head_hash, refreshed_at, expires_at, ended_at)
            VALUES ($1, $2, '', now() - interval '731 days', now() + interval '1 day', CASE WHEN $3 THEN now() END)
            """,
            api.catalogue.id,
            ids[name],
            ended,
        )
    idea = parse_id(await api.idea())[1]
    await api.conn.execute(
        "INSERT INTO votes VALUES ($1, $2, $3, true, 'DEVICE', 'PHONE', now(), now())",
        api.catalogue.id,
        idea,
        ids["voted lately"],
    )
    await api.conn.execute(
        """
        WITH i AS (INSERT INTO ballot_imports (municipality_id, file_sha256, file_name, meta) VALUES ($1, '', '', '{}')
          RETURNING id)
        INSERT INTO imported_voters (municipality_id, import_id, resident_id, voter_id) SELECT $1, id, $2, 'v' FROM i
        """,
        api.catalogue.id,
        ids["of a file"],
    )
    await erase_idle_devices(pool, load_settings())()
    rows = await api.conn.fetch("SELECT id FROM residents WHERE erasure_asked_at IS NOT NULL")
    assert {row[0] for row in rows} == {ids["idle"], ids["signed out"]}
    await erase_idle_devices(pool, load_settings())()
    assert await api.conn.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'erase'") == 2


async def test_nobody_is_asked_for_twice(life: Life, pool: Pool) -> None:
    own = {"municipality_id": life.api.catalogue.id, "resident_id": life.id}
    async with pool.acquire() as conn:
        first = await ask_erasure(conn, **own)
        assert first == await ask_erasure(conn, **own)
        await run_erasure(life, pool)
        assert await ask_erasure(conn, **own) is None
        assert await ask_erasure(conn, municipality_id=life.api.catalogue.id, resident_id=uuid4()) is None


async def test_accounts_are_erased_by_command_too(life: Life, pool: Pool) -> None:
    nobody = uuid4()
    asked = {"slug": SLUG, "residents": [global_id("Resident", life.id), str(nobody)]}
    lines = await erase_accounts(life.api.settings, **asked)  # type: ignore[arg-type] # of two types
    assert lines == [f"{life.id} will be erased by the worker", f"{nobody} is nobody, or has been erased"]
    await run_erasure(life, pool)
    assert await in_tables(life.api.conn, GONE.values()) == RECORDS
    acts = await life.api.conn.fetch("SELECT act, subject_id FROM audit_entries ORDER BY sequence DESC LIMIT 2")
    assert [tuple(row) for row in acts] == [("ACCOUNT_ERASED", life.id), ("ERASURE_ASKED", life.id)]


async def test_who_had_several_accounts_is_forgotten_with_all_of_them(
    api: Api, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, kept), (token, gone) = await device(api), await device(api)
    await by_login(api, person("aino"), caller=kept)
    idea = await api.idea(token=token, title="Kanaria14jalkeen")
    await by_login(api, person("aino"), caller=gone)
    # What a process took that hadn't heard of the join; the worker was down, so no job has moved it.
    await api.conn.execute("UPDATE ideas SET author_id = $1", gone)
    await api.conn.execute("INSERT INTO follows VALUES ($1, $2, $3)", api.catalogue.id, gone, parse_id(idea)[1])
    lines = await erase_accounts(api.settings, slug=SLUG, residents=[str(gone)])
    assert lines == [f"{gone} will be erased by the worker"]
    everything = structlog.make_filtering_bound_logger(0)
    heard = structlog.wrap_logger(logged := CapturingLogger(), processors=[], wrapper_class=everything)
    monkeypatch.setattr("backend.jobs.erase.log", heard)
    payload = orjson.loads(await api.conn.fetchval("SELECT payload FROM pgqueuer WHERE entrypoint = 'erase'"))
    await erase(pool, api.settings)(payload)
    assert await in_tables(api.conn, ["Kanaria14jalkeen"]) == {}
    for table in ("follows", "idempotency_keys", "sessions"):
        assert await api.conn.fetchval(f"SELECT count(*) FROM {table}") == 0, table  # noqa: S608 # named above
    rows = await api.conn.fetch("SELECT locale FROM residents WHERE id = ANY($1)", [kept, gone])
    assert [row[0] for row in rows] == ["und", "und"]
    # In a backup of before the join these are two: whoever restores it is told of both.
    assert {call.kwargs["resident"] for call in logged.calls} == {str(kept), str(gone)}
    assert await erase_accounts(api.settings, slug=SLUG, residents=[str(gone)]) == [
        f"{gone} is nobody, or has been erased"
    ]


# What is done to each table when somebody is erased: a statement of sql/queries/erasures.sql, or why nothing is.
FATES = {
    "audit_entries": "ids and codes alone; proves what staff did",
    "audit_heads": "hashes",
    "ballot_imports": "a file that was published without names",
    "data_export_parts": "goes with data_exports",
    "data_exports": "forget_data_exports",
    "departments": "offices",
    "districts": "offices",
    "email_challenges": "forget_email_challenges",
    "follows": "forget_follows",
    "group_members": "leave_group, empty_group",
    "groups": "remove_group",
    "idea_groups": "disown_ideas",
    "idea_numbers": "numbers",
    "idea_tallies": "totals stay",
    "ideas": "forget_ideas",
    "idempotency_keys": "forget_idempotency_keys",
    "identities": "forget_emails",
    "imported_options": "a file that was published without names",
    "imported_voters": "a file that was published without names",
    "login_attempts": "forget_login_attempts",
    "moderations": "append-only: a moderator answers for the reason",
    "invitations": "forget_invitations, forget_inviter",
    "municipalities": "offices",
    "notifications": "forget_notifications",
    "officials": "who signs public answers does it in office",
    "passkey_challenges": "forget_passkey_challenges",
    "passkeys": "forget_passkeys",
    "pgqueuer": "jobs of now; mails in it are sealed, and dropped when late",
    "pgqueuer_log": "names of jobs, for 30 days",
    "pgqueuer_schedules": "names of chores",
    "pgqueuer_statistics": "numbers",
    "posts": "offices",
    "public_changes": "ids, for an hour",
    "refresh_tokens": "goes with sessions",
    "resident_roles": "forget_roles",
    "residents": "forget_resident",
    "responses": "append-only: answers of the municipality",
    "responsibilities": "offices",
    "revocations": "ids of sessions, until their tokens would have ended",
    "schema_migrations": "names of files",
    "sessions": "forget_sessions",
    "status_transitions": "rules",
    "tally_days": "totals stay",
    "themes": "offices",
    "votes": "stay with the pseudonym: no second vote",
}


async def test_f10_no_table_is_forgotten_when_somebody_is(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    tables = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {row[0] for row in tables} == FATES.keys(), "say here what becomes of a new table, and see to it"
    named = {name for fate in FATES.values() for name in fate.split(", ") if name.startswith("forget_")}
    assert named == {name for name in erasures.SQL if name.startswith("forget_")}
    # Whoever refers to residents without being emptied keeps a pseudonym; each of these is meant.
    referring = await conn.fetch(
        """
        SELECT DISTINCT conrelid::regclass::text FROM pg_constraint
        WHERE contype = 'f' AND confrelid = 'residents'::regclass AND conrelid <> confrelid
        """
    )
    stays = {row[0] for row in referring if not set(FATES[row[0]].split(", ")) & erasures.SQL.keys()}
    assert stays == {"imported_voters", "moderations", "votes"}
