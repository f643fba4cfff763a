import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn

from backend.app import create_app
from backend.auth.keys import generate_key, load_signing_keys
from backend.commands import connect
from backend.db import municipalities
from backend.db.pool import Connection
from backend.db.votes import VoteStatement, set_votes
from backend.imports.ballots import ImportRefused, import_ballots, prepare_replay, read_file
from backend.imports.casting import Client, ReplayFailed, tail
from backend.imports.command import run_import, total_differences
from backend.imports.places import closing_time, locale, slug_of, time_zone
from backend.imports.replay import cast_ballots, signed_heads, tails
from backend.pabulib import MalformedBallots, read_pb
from backend.settings import Settings
from tests.conftest import OTHER, Api

pytestmark = pytest.mark.anyio

BALLOTS = Path(os.environ.get("HEITTO_BALLOTS") or Path(__file__).parents[1].parent / "shared" / "data")

VOTE = """META
key;value
unit;Sopot
country;Poland
language;polish
date_end;15.06.2025
vote_type;approval
PROJECTS
project_id;name;votes;cost;category;neighborhood;latitude;longitude
7;Uimalaituri;3;1200,50;sport,nature;Ranta;60.25;24.5
8;Kirjastobussi;1;800;culture;Keskusta;;
9;Penkki;0;;Sport;Ranta;60.1;
VOTES
voter_id;vote;age;sex;neighborhood;voting_method
a1;7,8;42;F;Ranta;internet
a2;7;;;;paper
a3;7;17;M;Keskusta;internet
a4;;80;;;internet
"""


def written(path: Path, content: str = VOTE) -> Path:
    path.write_text(content, "utf-8")
    return path


def ballots_of(vote_type: str, header: str, *votes: str) -> str:
    projects = ["project_id;name", "7;Laituri", "8;Bussi", "9;Penkki"]
    return "\n".join(["META", f"vote_type;{vote_type}", "PROJECTS", *projects, "VOTES", header, *votes, ""])


async def load(settings: Settings, file: Path, slug: str = "", *, replay: str = "", connections: int = 8) -> int:
    return await run_import(settings, file=file, slug=slug, replay=replay, connections=connections)


async def vote_counts(conn: Connection, slug: str) -> dict[str, tuple[int, int]]:
    """By title: the tally, and the rows."""
    rows = await conn.fetch(
        """
        SELECT i.title, t.vote_count,
          (SELECT count(*) FROM votes AS v
           WHERE v.municipality_id = i.municipality_id AND v.idea_id = i.id AND v.voted) AS votes
        FROM municipalities AS m JOIN ideas AS i ON i.municipality_id = m.id
        JOIN idea_tallies AS t ON t.municipality_id = i.municipality_id AND t.idea_id = i.id
        WHERE m.slug = $1 ORDER BY i.number
        """,
        slug,
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def contents(conn: Connection) -> dict[str, str]:
    """Every table's rows, in one digest each."""
    tables = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    digest = "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM {} AS t"
    return {table[0]: await conn.fetchval(digest.format(table[0])) for table in tables}


@pytest.mark.parametrize(
    ("content", "expected", "note"),
    [
        (ballots_of("approval", "voter_id;vote", "1;7,8", "2;8", "3;"), (1, 2, 0), ""),
        (ballots_of("choose-1", "voter_id;vote", "1;7", "2;7", "3;9"), (2, 0, 1), ""),
        (ballots_of("ordinal", "voter_id;vote", "1;9,7", "2;7,8,9"), (2, 1, 2), "ordinal ballots"),
        (ballots_of("cumulative", "voter_id;vote;points", "1;7,8;5,0", "2;8;1"), (1, 2, 0), "cumulative ballots"),
        (ballots_of("scoring", "voter_id;vote;points", "1;7,9;-3,2", "2;9;0"), (1, 0, 2), "scoring ballots"),
    ],
    ids=["approval", "choose-1", "ordinal", "cumulative", "scoring"],
)
async def test_each_kind_of_ballot_counts_once_for_what_is_on_it(
    settings: Settings,
    conn: Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    expected: tuple[int, ...],
    note: str,
) -> None:
    assert await load(settings, written(tmp_path / "Small Vote_2025.pb", content)) == 0
    counted = await vote_counts(conn, "small-vote-2025")
    assert counted == dict(zip(("Laituri", "Bussi", "Penkki"), ((n, n) for n in expected), strict=True))
    said = capsys.readouterr().out
    assert "totals equal" in said
    assert (f"note: {note}: a project counts once for each ballot" in said) is bool(note)
    assert ("note:" in said) is bool(note)


async def test_a_municipality_is_made_from_what_the_file_says(
    settings: Settings, conn: Connection, tmp_path: Path
) -> None:
    await load(settings, written(tmp_path / "v.pb"), "sopot")
    made = await conn.fetchrow("SELECT * FROM municipalities WHERE slug = 'sopot'")
    assert made
    assert (made["names"], made["time_zone"], made["locales"]) == ({"pl": "Sopot"}, "Europe/Warsaw", ["pl"])
    assert (made["vote_strength"], made["rate_limits_lifted"]) == ("DEVICE", False)

    names = await conn.fetchrow(
        """
        SELECT ARRAY(SELECT names FROM themes WHERE municipality_id = $1 ORDER BY position),
          ARRAY(SELECT names FROM districts WHERE municipality_id = $1 ORDER BY position)
        """,
        made["id"],
    )
    assert names
    assert tuple(names) == (
        [{"en": "General"}, {"pl": "sport"}, {"pl": "culture"}],
        [{"pl": "Ranta"}, {"pl": "Keskusta"}],
    )
    ideas = await conn.fetch(
        """
        SELECT i.number, i.title, i.body, i.locale, i.status, i.author_id, t.names ->> 'pl', d.names ->> 'pl',
          i.latitude, i.longitude, o.project_id, o.published_votes, o.details,
          i.placed_on = (now() AT TIME ZONE 'Europe/Warsaw')::date AND i.created_at > now() - interval '1 minute',
          (i.reaction_due_at AT TIME ZONE 'Europe/Warsaw')::text ~ ' 23:59:59.999$'
        FROM ideas AS i JOIN imported_options AS o ON o.municipality_id = i.municipality_id AND o.idea_id = i.id
        JOIN themes AS t ON t.municipality_id = i.municipality_id AND t.id = i.theme_id
        JOIN districts AS d ON d.municipality_id = i.municipality_id AND d.id = i.district_id
        WHERE i.municipality_id = $1 ORDER BY i.id
        """,
        made["id"],
    )
    shore = {"category": "sport,nature", "area": "Ranta", "cost": "1200.50"}
    assert [tuple(row) for row in ideas] == [
        (1, "Uimalaituri", "", "pl", "OPEN", None, "sport", "Ranta", 60.25, 24.5, "7", 3, shore, True, True),
        (2, "Kirjastobussi", "", "pl", "OPEN", None, "culture", "Keskusta", None, None, "8", 1,
         {"category": "culture", "area": "Keskusta", "cost": "800"}, True, True),
        (3, "Penkki", "", "pl", "OPEN", None, "sport", "Ranta", None, None, "9", 0,
         {"category": "Sport", "area": "Ranta"}, True, True),
    ]  # fmt: skip


async def test_voters_stay_with_the_import_and_their_votes_lie_on_the_last_day(
    settings: Settings, conn: Connection, tmp_path: Path
) -> None:
    await load(settings, written(tmp_path / "v.pb"), "sopot")
    voters = await conn.fetch(
        """
        SELECT v.voter_id, v.age, v.sex, v.area, r.display_name, r.strength, r.locale
        FROM imported_voters AS v JOIN residents AS r ON r.municipality_id = v.municipality_id AND r.id = v.resident_id
        ORDER BY r.id
        """
    )
    assert [tuple(row) for row in voters] == [
        ("a1", 42, "F", "Ranta", "Voter 1", "DEVICE", "pl"),
        ("a2", None, None, None, "Voter 2", "DEVICE", "pl"),
        ("a3", 17, "M", "Keskusta", "Voter 3", "DEVICE", "pl"),
        ("a4", 80, None, None, "Voter 4", "DEVICE", "pl"),
    ]
    votes = await conn.fetch("SELECT channel, cast_at, decided_at, count(*) FROM votes GROUP BY 1, 2, 3 ORDER BY 1")
    noon = datetime(2025, 6, 15, 10, tzinfo=UTC)
    assert [tuple(row) for row in votes] == [("PAPER", noon, noon, 1), ("IMPORT", noon, noon, 3)]
    days = await conn.fetch("SELECT day::text, sum(vote_count) FROM tally_days GROUP BY 1")
    assert [tuple(row) for row in days] == [("2025-06-15", 4)]


async def test_the_board_shows_imported_ideas_in_order_of_votes(api: Api, settings: Settings, tmp_path: Path) -> None:
    await load(settings, written(tmp_path / "v.pb"), "sopot")
    board = "{ leaderboard(window: %s, first: 5) { nodes { rank score idea { title voteCount } } } }"
    data = await api.data(board % "ALL_TIME", Heitto_Municipality="sopot")
    assert [(n["rank"], n["score"], n["idea"]["title"]) for n in data["leaderboard"]["nodes"]] == [
        (1, 3, "Uimalaituri"),
        (2, 1, "Kirjastobussi"),
        (3, 0, "Penkki"),
    ]
    assert (await api.data(board % "MONTH", Heitto_Municipality="sopot"))["leaderboard"]["nodes"] == []


async def test_an_import_into_a_municipality_leaves_its_votes_and_offices_as_they_are(
    api: Api, settings: Settings, conn: Connection, tmp_path: Path
) -> None:
    idea_id = await api.idea()
    await api.set_vote(idea_id, token=await api.token())
    lists = len(api.catalogue.themes), len(api.catalogue.districts)
    await load(settings, written(tmp_path / "v.pb"), "ilola")
    counted = await vote_counts(conn, "ilola")
    assert counted == {"Penkki mäen päälle": (1, 1), "Uimalaituri": (3, 3), "Kirjastobussi": (1, 1), "Penkki": (0, 0)}
    after = await municipalities.catalogue(conn, api.catalogue.id)
    assert after
    assert (len(after.themes), len(after.districts)) == (lists[0] + 2, lists[1] + 2)


async def test_a_vote_that_commits_while_an_import_counts_is_not_lost(
    api: Api, settings: Settings, conn: Connection, tmp_path: Path
) -> None:
    await api.idea()
    idea_id, municipality_id = (await conn.fetch("SELECT id, municipality_id FROM ideas"))[0]
    resident_id = await conn.fetchval("SELECT id FROM residents WHERE municipality_id = $1 LIMIT 1", municipality_id)
    watcher = await connect(settings.database_url)
    async with conn.transaction():
        await set_votes(conn, [VoteStatement(municipality_id, idea_id, resident_id, True)])
        loading = asyncio.create_task(load(settings, written(tmp_path / "v.pb"), "ilola"))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while not await watcher.fetchval(waits):
            assert not loading.done()
    assert await loading == 0
    await watcher.close()
    assert (await vote_counts(conn, "ilola"))["Penkki mäen päälle"] == (1, 1)


async def test_imported_votes_have_the_strength_that_counts(
    settings: Settings, conn: Connection, tmp_path: Path
) -> None:
    await load(settings, written(tmp_path / "v.pb"), OTHER)  # counts votes from EMAIL up
    assert await vote_counts(conn, OTHER) == {"Uimalaituri": (3, 3), "Kirjastobussi": (1, 1), "Penkki": (0, 0)}
    tallies = await conn.fetchrow("SELECT sum(device_count), sum(email_count), sum(strong_count) FROM idea_tallies")
    assert tallies is not None
    assert tuple(tallies) == (0, 4, 0)


async def test_the_same_file_is_refused_by_any_name_and_another_one_taken(
    settings: Settings, conn: Connection, tmp_path: Path
) -> None:
    await load(settings, written(tmp_path / "v.pb"), "sopot")
    before = await contents(conn)
    with pytest.raises(ImportRefused, match=r"^the municipality already holds copy\.pb$"):
        await load(settings, written(tmp_path / "copy.pb"), "sopot")
    assert await contents(conn) == before
    await load(settings, written(tmp_path / "w.pb", VOTE.replace("a4;", "a5;")), "sopot")
    assert [row[0] for row in await conn.fetch("SELECT number FROM ideas ORDER BY 1")] == [1, 2, 3, 4, 5, 6]
    assert await conn.fetchval("SELECT count(*) FROM themes AS t JOIN municipalities AS m ON m.id = t.municipality_id"
                               " WHERE m.slug = 'sopot'") == 3  # fmt: skip


async def test_a_malformed_file_leaves_nothing_behind(settings: Settings, conn: Connection, tmp_path: Path) -> None:
    before = await contents(conn)
    with pytest.raises(MalformedBallots, match=r"^line 17: unknown project '99' on the ballot$"):
        await load(settings, written(tmp_path / "v.pb", VOTE.replace("a3;7", "a3;99")), "sopot")
    with pytest.raises(ImportRefused, match="is no slug"):
        await load(settings, written(tmp_path / "v.pb"), "Sopot!")
    assert await contents(conn) == before


async def test_an_import_that_fails_half_way_leaves_nothing_behind(conn: Connection, tmp_path: Path) -> None:
    before = await contents(conn)
    reached = []

    def crash(title: str, done: int, total: int) -> None:
        reached.append(title)
        if title == "Votes" and done == total:
            raise RuntimeError("the disk burns")

    file = read_file(written(tmp_path / "v.pb"), crash)
    with pytest.raises(RuntimeError, match="the disk burns"):
        async with conn.transaction():
            await import_ballots(conn, slug="sopot", file=file, report=crash)
    assert "Voters" in reached
    assert await contents(conn) == before


async def test_published_totals_that_differ_are_a_warning_that_names_the_project(
    settings: Settings, conn: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await load(settings, written(tmp_path / "v.pb", VOTE.replace("bussi;1;", "bussi;1500;")), "sopot") == 0
    said = capsys.readouterr().out
    assert "warning: the published totals of 1 projects differ from the ballots" in said
    assert "8 Kirjastobussi: published 1,500, on ballots 1" in said
    assert (await vote_counts(conn, "sopot"))["Kirjastobussi"] == (1, 1)


async def test_long_names_become_title_and_body(settings: Settings, conn: Connection, tmp_path: Path) -> None:
    await load(settings, written(tmp_path / "v.pb", VOTE.replace("Penkki", "ä" * 501)), "sopot")
    assert await conn.fetchval(
        "SELECT (title, body) = (repeat('ä', 500), repeat('ä', 501)) FROM ideas WHERE number = 3"
    )


async def test_more_districts_than_a_municipality_can_have_are_left_out(
    settings: Settings, conn: Connection, tmp_path: Path
) -> None:
    projects = [f"{n};District {n}" for n in range(201)]
    lines = [
        "META",
        "vote_type;approval",
        "PROJECTS",
        "project_id;district",
        *projects,
        "VOTES",
        "voter_id;vote",
        "1;7",
    ]
    await load(settings, written(tmp_path / "v.pb", "\n".join(lines)), "sopot")
    assert await conn.fetchval("SELECT count(*) FROM ideas WHERE district_id IS NULL") == 201


def test_places_and_times_are_read_from_meta() -> None:
    assert [time_zone({"country": name}) for name in ("Poland", "US", "France", "Worldwide")] == [
        "Europe/Warsaw",
        "America/New_York",
        "Europe/Paris",
        "UTC",
    ]
    assert [locale({"language": name}) for name in ("pl", "Polish", "nl", "fre nch")] == ["pl", "pl", "nl", "en"]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    times = {text: closing_time({"date_end": text}, "Europe/Helsinki", now=now) for text in
             ("4.07.2025", "2019", "31.12.2030", "31.02.2020", "")}  # fmt: skip
    assert times == {
        "4.07.2025": datetime(2025, 7, 4, 9, tzinfo=UTC),
        "2019": datetime(2019, 12, 31, 10, tzinfo=UTC),
        "31.12.2030": now,
        "31.02.2020": now,
        "": now,
    }
    assert slug_of(Path("Poland_Łódź 2024_.pb")) == "poland-d-2024"


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    """The application on a port of its own."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_level="critical"))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 # uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/graphql"
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def cutting(url: str, *, every: int) -> AsyncIterator[str]:
    """A proxy that passes each request on and cuts the connection instead of each n-th answer."""
    answers = 0

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answers
        try:
            up, down = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
            while request := await reader.read(65_536):
                down.write(request)
                head = await up.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                assert length
                answer = head + await up.readexactly(int(length[1]))
                answers += 1
                if answers % every == 0:
                    break
                writer.write(answer)
            down.close()
        finally:
            writer.close()

    proxy = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with proxy:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/graphql"


async def test_a_replay_casts_every_ballot_through_the_api(
    settings: Settings, conn: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "v.pb")
    async with serving(settings) as url:
        assert await load(settings, file, "sopot", replay=url) == 0
        with pytest.raises(ImportRefused, match="municipality sopot is there already"):
            await load(settings, file, "sopot", replay=url)
    said = capsys.readouterr().out
    assert "cast 4 votes of 4 ballots" in said
    assert "sent again: 0; refused: none" in said
    assert "totals equal" in said
    assert await vote_counts(conn, "sopot") == {"Uimalaituri": (3, 3), "Kirjastobussi": (1, 1), "Penkki": (0, 0)}
    assert await conn.fetchval("SELECT rate_limits_lifted FROM municipalities WHERE slug = 'sopot'")
    assert [row[0] for row in await conn.fetch("SELECT DISTINCT channel FROM votes")] == ["PHONE"]


async def test_a_replay_over_a_bad_network_counts_each_vote_once(
    settings: Settings, conn: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    votes = [f"{n};7,8" for n in range(40)]
    file = written(tmp_path / "v.pb", ballots_of("approval", "voter_id;vote", *votes))
    async with serving(settings) as url, cutting(url, every=7) as cut_url:
        assert await load(settings, file, "sopot", replay=cut_url) == 0
    assert await vote_counts(conn, "sopot") == {"Laituri": (40, 40), "Bussi": (40, 40), "Penkki": (0, 0)}
    assert "sent again: 13; refused: none" in capsys.readouterr().out


async def test_a_vote_is_sent_until_it_is_answered() -> None:
    answers = [
        (503, b'{"errors":[{"message":"later"}]}'),
        (200, b'{"data":null,"errors":[{"extensions":{"code":"UNAVAILABLE"}}]}'),
        None,
        (200, b'{"data":{"setVote":{"idea":{"voteCount":1},"errors":[]}}}'),
    ]
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(requests) < len(answers):
            requests.append(await reader.readexactly(len(b"Content-Length: 4\r\n\r\nvote")))
            given = answers[len(requests) - 1]
            if given is None:
                break
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (given[0], len(given[1]), given[1]))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/graphql")
        assert await client.ask(tail(b"vote")) == answers[-1]
        client.close()
    assert requests == [b"Content-Length: 4\r\n\r\nvote"] * 4
    assert client.repeats == 3


async def test_a_replay_that_loses_votes_says_which(settings: Settings, conn: Connection, tmp_path: Path) -> None:
    assert settings.signing_key_file
    keys = load_signing_keys(settings.signing_key_file)

    def report(*_: object) -> None: ...

    file = read_file(written(tmp_path / "v.pb"), report)
    async with serving(settings) as url:
        async with conn.transaction():
            imported = await prepare_replay(conn, slug="sopot", file=file, report=report)
            await conn.execute("UPDATE ideas SET status = 'PLANNED' WHERE id = $1", imported.idea_ids["8"])
        replayed = await cast_ballots(
            url,
            heads=signed_heads(
                keys, issuer=settings.token_issuer, url=url, slug="sopot", imported=imported, report=report
            ),
            tails=tails(imported.idea_ids),
            ballots=file.election.ballots,
            connections=2,
            report=report,
        )
    assert (replayed.votes, replayed.refused) == (4, Counter({"CLOSED": 1}))
    assert await total_differences(conn, imported, file.election) == [
        "totals differ: project 8 is on 1 ballots, its idea's voteCount is 0, of 0 votes in the database"
    ]


async def test_a_replay_with_a_foreign_key_or_without_a_server_ends_at_once(
    settings: Settings, conn: Connection, tmp_path: Path
) -> None:
    file = written(tmp_path / "v.pb")
    before = await contents(conn)
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await load(settings, file, "sopot", replay="http://127.0.0.1:1/graphql")
    with pytest.raises(ImportRefused, match="write the API's URL"):
        await load(settings, file, "sopot", replay="localhost:8000")
    assert await contents(conn) == before
    generate_key(tmp_path / "foreign.pem")
    foreign = settings.model_copy(update={"signing_key_file": tmp_path / "foreign.pem"})
    async with serving(settings) as url:
        with pytest.raises(ReplayFailed, match="the server answers 401"):
            await load(foreign, file, "sopot", replay=url)


@pytest.mark.parametrize("name", ["Poland_Warszawa_2026.pb", "Poland_Gdynia_2020.pb", "France_Toulouse_2019.pb"])
async def test_published_files_give_their_published_totals(settings: Settings, conn: Connection, name: str) -> None:
    path = BALLOTS / name
    if not path.exists():
        pytest.skip(f"{name} is not in {BALLOTS}: set HEITTO_BALLOTS to a folder that holds it")
    assert await load(settings, path, "published") == 0
    rows = await conn.fetch(
        """
        SELECT o.project_id, t.vote_count, o.published_votes FROM imported_options AS o
        JOIN idea_tallies AS t ON t.municipality_id = o.municipality_id AND t.idea_id = o.idea_id
        """
    )
    published = {project.id: project.votes for project in read_pb(path).projects}
    assert {row[0]: row[1] for row in rows} == published == {row[0]: row[2] for row in rows}
