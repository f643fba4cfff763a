"""Kept public answers when Redis or PostgreSQL fail, when somebody writes into Redis, and as time goes by."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2
import pytest
import redis
from starlette.applications import Starlette

from backend.app import create_app
from backend.db.municipalities import Catalogue
from backend.embedded.servers import Servers
from backend.ids import global_id, parse_id
from backend.realtime import answers, changes
from backend.settings import Settings
from tests.conftest import Api, execute_sql
from tests.test_public_answers import PROMISED_SECONDS, counted, served, without_redis

pytestmark = pytest.mark.anyio

IDEAS = "{ ideas(first: 5) { nodes { title voteCount } } }"
BOARD = "{ leaderboard(first: 5) { nodes { score idea { title } } } }"


async def ask(client: httpx2.AsyncClient, query: str, **headers: str) -> bytes:
    answer = await client.post("/graphql", json={"query": query}, headers=headers)
    assert "errors" not in answer.json(), answer.text
    return answer.content


async def how(client: httpx2.AsyncClient, query: str) -> tuple[bytes, str]:
    """The answer, and where it came from."""
    before = counted()
    body = await ask(client, query)
    after = counted()
    [source] = [each for each in ("process", "redis", "made") if after[each] > before[each]]
    return body, source


async def fresh(settings: Settings, query: str) -> tuple[bytes, str]:
    """Likewise of a process that has just started."""
    async with served(create_app(settings)) as client:
        return await how(client, query)


def keys(settings: Settings) -> list[bytes]:
    return [key for key in redis.Redis.from_url(settings.redis_url).scan_iter() if b":answer:" in key]


async def stored(settings: Settings, count: int) -> list[bytes]:
    """The keys of so many answers: they are written after their callers have them."""
    for _ in range(100):
        if len(found := keys(settings)) == count:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"not {count}: {keys(settings)}")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine Redis may take longer than a request should wait for it."""
    monkeypatch.setattr(answers, "READ_SECONDS", 5.0)


@pytest.fixture
async def idea(api: Api) -> str:
    made = await api.idea(title="Sauna")
    await api.boards_settled()
    await asyncio.sleep(PROMISED_SECONDS)
    return made


@pytest.mark.parametrize("query", [IDEAS, BOARD])
async def test_another_process_takes_an_answer_from_redis_while_it_holds(
    api: Api, settings: Settings, idea: str, query: str
) -> None:
    body, source = await how(api.client, query)
    assert source == "made"
    await stored(settings, 1)
    assert await fresh(settings, query) == (body, "redis")
    await api.set_vote(idea, token=await api.token())
    changed, source = await fresh(settings, query)
    assert source == "made"
    if query == IDEAS:
        assert b'"voteCount":1' in changed


async def test_an_old_answer_put_back_into_redis_is_not_believed(api: Api, settings: Settings, idea: str) -> None:
    await ask(api.client, IDEAS)
    client = redis.Redis.from_url(settings.redis_url)
    [key] = await stored(settings, 1)
    old = client.get(key)
    await api.set_vote(idea, token=await api.token())
    client.set(key, old)  # type: ignore[arg-type] # bytes, in a client that isn't asynchronous
    body, source = await fresh(settings, IDEAS)
    assert (source, b'"voteCount":1' in body) == ("made", True)


@pytest.mark.parametrize("way", ["another title", "under another key", "cut", "random", "empty", "of another type"])
async def test_what_somebody_wrote_into_redis_is_on_nobodys_phone(
    api: Api, settings: Settings, idea: str, way: str
) -> None:
    true = await ask(api.client, IDEAS)
    other = await ask(api.client, "{ ideas(first: 1) { nodes { id } } }")
    client = redis.Redis.from_url(settings.redis_url)
    values = {key: bytes(client.get(key) or b"") for key in await stored(settings, 2)}  # type: ignore[arg-type] # as above
    [mine] = [key for key, value in values.items() if true in value]
    [theirs] = [key for key, value in values.items() if other in value]
    if way == "of another type":
        client.delete(mine)
        client.hset(mine.decode(), "a", "b")
    else:
        forged = {
            "another title": values[mine].replace(b"Sauna", b"Kauna"),
            "under another key": values[theirs],
            "cut": values[mine][:-1],
            "random": bytes(range(256)),
            "empty": b"",
        }
        assert forged[way] != values[mine]
        client.set(mine, forged[way])
    assert await fresh(settings, IDEAS) == (true, "made")


async def test_what_one_process_writes_into_redis_is_bounded(
    api: Api, settings: Settings, idea: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(api.client, IDEAS)
    client = redis.Redis.from_url(settings.redis_url)
    [key] = await stored(settings, 1)
    assert 0 < client.pttl(key) <= answers.KEPT_SECONDS * 1000
    size = client.strlen(key)
    monkeypatch.setattr(answers, "LARGEST_SHARE", size + size // 2)  # times in it make sizes differ by some bytes
    await ask(api.client, IDEAS.replace("{ ideas", "query Second { ideas"))
    monkeypatch.setattr(answers, "LARGEST_SHARE", 100 * size)
    monkeypatch.setattr(answers, "LARGEST_BODY", 10)
    await ask(api.client, IDEAS.replace("{ ideas", "query Third { ideas"))
    await asyncio.sleep(0.2)
    assert keys(settings) == [key]


async def test_who_signed_in_neither_leaves_nor_gets_a_shared_answer(api: Api, settings: Settings, idea: str) -> None:
    token = await api.token()
    before = counted()
    for _ in range(2):
        await api.data(IDEAS, token=token)
    assert (keys(settings), counted()) == ([], before)
    await api.data(IDEAS)
    await api.data(IDEAS, token=token)
    assert counted()["made"] == before["made"] + 1
    assert counted()["process"] == before["process"]


async def test_f1_without_redis_each_process_keeps_its_own(api: Api, settings: Settings, idea: str) -> None:
    async with served(create_app(without_redis(settings))) as client:
        for query in (IDEAS, BOARD):
            body, source = await how(client, query)
            assert (await how(client, query), source) == ((body, "process"), "made")
        await api.set_vote(idea, token=await api.token())
        await asyncio.sleep(PROMISED_SECONDS)
        assert b'"voteCount":1' in await ask(client, IDEAS)
        assert b'"score":1' in await ask(client, BOARD)


async def test_f1_boards_that_nobody_brings_up_to_date_in_redis_still_show_a_vote_in_time(
    api: Api, settings: Settings, idea: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The projector hangs; what Redis has is fresh enough for boards, not for an answer that is kept."""
    projector = api.app.state.pipeline.gate.services.projector

    async def hang(municipality_id: object) -> None:
        await asyncio.sleep(60)

    assert b'"score":0' in await ask(api.client, BOARD)
    monkeypatch.setattr(type(projector), "round", lambda self, municipality_id: hang(municipality_id))
    await api.set_vote(idea, token=await api.token())
    await asyncio.sleep(PROMISED_SECONDS)
    assert b'"score":1' in await ask(api.client, BOARD)


async def test_while_the_feed_is_silent_nothing_kept_is_served(api: Api, idea: str) -> None:
    await ask(api.client, IDEAS)
    async with api.conn.transaction():
        await api.conn.execute("LOCK TABLE public_changes IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(changes.VERIFIED_SECONDS)
        for _ in range(2):
            assert (await how(api.client, IDEAS))[1] == "made"
    await asyncio.sleep(changes.POLL_SECONDS + changes.RETRY_SECONDS)
    await ask(api.client, IDEAS)
    assert (await how(api.client, IDEAS))[1] == "process"


@pytest.fixture
async def lost(servers: Servers, database_url: str) -> AsyncIterator[str]:
    """The statement that takes PostgreSQL away from everybody; it comes back in the end."""
    name = urlsplit(database_url).path[1:]
    away = f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"
    yield away
    await execute_sql(servers, away.replace("false", "true"))


async def test_f2_without_postgresql_nothing_kept_is_served_and_nothing_is_missed(
    api: Api, servers: Servers, lost: str, idea: str
) -> None:
    await ask(api.client, IDEAS)
    await execute_sql(servers, lost)
    name = lost.split()[2]
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"  # noqa: S608 # our own name
    await execute_sql(servers, end)
    await asyncio.sleep(changes.VERIFIED_SECONDS)
    answer = await api.client.post("/graphql", json={"query": IDEAS})
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    await execute_sql(servers, lost.replace("false", "true"))
    await api.set_vote(idea, token=await api.token())
    await asyncio.sleep(PROMISED_SECONDS)
    assert b'"voteCount":1' in await ask(api.client, IDEAS)


@pytest.mark.parametrize(
    ("asked", "before", "after"),
    [
        ('{ node(id: "%s") { ... on Idea { clock { isOverdue } } } }', b"false", b"true"),
        ("{ ideas(filter: { overdue: true }) { nodes { id } } }", b'"nodes":[]', b'"id"'),
        ("{ ideas(filter: { overdue: false }) { nodes { id } } }", b'"id"', b'"nodes":[]'),
    ],
)
async def test_a_promise_that_becomes_late_shows_at_that_moment(
    api: Api, idea: str, asked: str, before: bytes, after: bytes
) -> None:
    query = asked % idea if "%s" in asked else asked
    due = datetime.now(UTC) + timedelta(seconds=2.5)
    await api.conn.execute("UPDATE ideas SET reaction_due_at = $2 WHERE id = $1", parse_id(idea)[1], due)
    await asyncio.sleep(PROMISED_SECONDS)
    assert before in await ask(api.client, query)
    assert (await how(api.client, query))[1] == "process"
    await asyncio.sleep((due - datetime.now(UTC)).total_seconds() + 0.01)
    body, source = await how(api.client, query)
    assert (after in body, source) == (True, "made")
    assert (await how(api.client, query))[1] == "process"


async def test_what_counts_by_the_day_ends_at_midnight(api: Api, idea: str, monkeypatch: pytest.MonkeyPatch) -> None:
    midnight = datetime.now(UTC) + timedelta(seconds=2)
    monkeypatch.setattr(Catalogue, "day_ends", lambda self: midnight if datetime.now(UTC) < midnight else midnight.max)
    by_day = [
        "{ leaderboard(window: DAY) { nodes { score } } }",
        "{ leaderboard(window: TRENDING) { nodes { score } } }",
        "{ leaderboard { nodes { previousRank } } }",
        "{ ideas(orderBy: TRENDING) { nodes { id } } }",
        f'{{ nodes(ids: ["{idea}"]) {{ ... on Idea {{ id }} }} ideas(orderBy: TRENDING) {{ nodes {{ id }} }} }}',
    ]
    others = ["{ leaderboard { nodes { score } } }", "{ ideas(orderBy: MOST_VOTED) { nodes { id } } }"]
    for query in (*by_day, *others):
        await ask(api.client, query)
        assert (await how(api.client, query))[1] == "process"
    await asyncio.sleep((midnight - datetime.now(UTC)).total_seconds() + 0.01)
    assert [query for query in (*by_day, *others) if (await how(api.client, query))[1] == "made"] == by_day


async def test_an_etag_stands_for_the_same_bytes_in_every_process(api: Api, settings: Settings, idea: str) -> None:
    async with served(create_app(settings)) as second:
        for asked in (IDEAS, BOARD):
            first, other = [await client.get("/graphql", params={"query": asked}) for client in (api.client, second)]
            assert first.headers["etag"] == other.headers["etag"]
            tag = {"if-none-match": first.headers["etag"]}
            for client in (api.client, second):
                again = await client.get("/graphql", params={"query": asked}, headers=tag)
                assert (again.status_code, again.content) == (304, b"")
                assert again.headers["cache-control"] == "public, no-cache"
                head = await client.head("/graphql", params={"query": asked})
                assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag["if-none-match"])
                assert head.headers["content-length"] == str(len(first.content))
        await api.set_vote(idea, token=await api.token())
        await asyncio.sleep(PROMISED_SECONDS)
        for client in (api.client, second):
            changed = await client.get("/graphql", params={"query": IDEAS}, headers=tag)
            assert changed.status_code == 200


async def test_languages_and_municipalities_have_their_own(api: Api) -> None:
    query = "{ municipality { name } }"
    found = {await ask(api.client, query, **{"heitto-municipality": slug}) for slug in ("ilola", "muula") for _ in "ab"}
    assert len(found) == 2


async def test_f4_many_at_once_make_one_answer(app: Starlette, api: Api, idea: str) -> None:
    before = counted()["made"]
    bodies = await asyncio.gather(*(ask(api.client, IDEAS) for _ in range(30)))
    assert (len(set(bodies)), counted()["made"]) == (1, before + 1)


async def test_c2_a_hidden_idea_is_gone_from_what_is_kept(api: Api, settings: Settings) -> None:
    author, district = await api.token(), global_id("District", next(iter(api.catalogue.districts)))
    idea = await api.idea(title="Mainos", token=author, districtId=district)
    await api.boards_settled()
    asked = [
        IDEAS,
        BOARD,
        f'{{ node(id: "{idea}") {{ ... on Idea {{ title }} }} }}',
        f'{{ leaderboard(scope: {{ districtId: "{district}" }}) {{ nodes {{ idea {{ title }} }} }} }}',
        '{ ideas(filter: { search: "mainos" }) { nodes { title } } }',
    ]
    async with served(create_app(settings)) as second:
        for client in (api.client, second):
            for query in asked:
                assert b"Mainos" in await ask(client, query)
        reason = {"ideaId": idea, "reason": "Mainos."}
        await api.mutate("hideIdea", reason, "__typename", token=await api.token("MODERATOR"))
        await asyncio.sleep(PROMISED_SECONDS)
        for client in (api.client, second):
            for query in asked:
                assert b"Mainos" not in await ask(client, query)
        seen = await api.data(asked[2], token=author)
    assert seen["node"]["title"] == "Mainos"
