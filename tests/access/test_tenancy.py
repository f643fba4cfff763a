"""Two municipalities in one installation, each with a word of its own in every text: none shows the other's."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import httpx2
import pytest
import redis

from backend.app import create_app
from backend.ids import parse_id
from backend.settings import Settings, Switch
from tests.access.asking import bare, both
from tests.access.live import over_stream
from tests.access.paths import by_id, from_the_root
from tests.access.test_sights import ids_by_type
from tests.access.towns import CANARIES, Town, Towns
from tests.calls import Call, Json, calls
from tests.schema_walk import is_connection, reach
from tests.test_access import EVERYBODY

pytestmark = pytest.mark.anyio

SOME = ("anonymous", "contact", "moderator")  # everybody's answers are looked through in test_sights.py
KEY = re.compile(r"\{([0-9a-f-]{36})\}:[a-z]+")  # the municipality is what decides where a key lies
GARBAGE = "A" * 46  # as long as a cursor


async def test_every_text_of_both_has_a_canary(towns: Towns) -> None:
    assert towns.silent == frozenset(), "write it in tests/access/towns.py, or explain it in NO_CANARY"


@asynccontextmanager
async def another_process(towns: Towns, settings: Settings) -> AsyncIterator[Towns]:
    """The same towns through a second application beside the first, with nothing kept but what is in Redis."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://heitto.test") as client:
            yield towns.asked_through(replace(towns.here.people.api, app=app, client=client))


def documents(town: Town) -> list[str]:
    return [*from_the_root(town.id("theme")), *by_id(ids_by_type(town))]


async def test_answers_of_one_never_hold_anything_of_the_other(towns: Towns, settings: Settings) -> None:
    """Asked in turns, so that whatever is kept for one is there while the other asks; then by another process."""
    askers = [*both(towns)]
    first: dict[tuple[str, str, str], bytes] = {}
    await towns.here.people.api.boards_settled()
    for _ in range(2):
        for here, there in zip(documents(towns.here), documents(towns.there), strict=True):
            for asker, document in zip(askers, (here, there), strict=True):
                for actor in SOME:
                    answer = await asker.post(document, actor=actor)
                    assert first.setdefault((asker.town.slug, document, actor), answer.content) == answer.content
    async with another_process(towns, settings) as again:
        for asker in both(again):
            for document in documents(asker.town):
                answer = await asker.post(document)
                assert first[asker.town.slug, document, "anonymous"] == answer.content
            askers.append(asker)
    assert [leak for asker in askers for leak in asker.leaks] == []
    for canary in CANARIES.values():
        assert any(canary.encode() in answer for answer in first.values()), "there is something to leak"


async def test_a_search_finds_its_own_municipalitys_alone(towns: Towns) -> None:
    for asker in both(towns):
        for canary, finds in ((asker.town.canary, True), (asker.other.canary, False)):
            words = {"text": canary}
            for actor in SOME:
                found = [
                    (await asker.json(query, words, actor=actor))["data"]
                    for query in (
                        "query ($text: String!) { ideas(filter: {search: $text}) { nodes { id } } }",
                        "query ($text: String!) { similarIdeas(text: $text, first: 20) { idea { id } } }",
                        "query ($text: String!) { groups(filter: {search: $text}) { nodes { id } } }",
                    )
                ]
                assert bool(found[0]["ideas"]["nodes"]) == finds
                assert bool(found[1]["similarIdeas"]) == finds
                assert bool(found[2]["groups"]["nodes"]) == finds
        assert asker.leaks == []


def paged() -> Iterator[tuple[Call, str]]:
    """Every page that is asked for by cursor, with the name of that argument."""
    for call in calls():
        if is_connection(call.field):
            yield from ((call, name) for name in ("after", "before") if name in call.field.args)


def page(call: Call, town: Town, more: str, cursor: str = "") -> tuple[str, Json]:
    inner = f"{call.name}({more}) {{ edges {{ cursor }} }}"
    body, things = reach(call.type_name, "$these", inner), town.of_type(call.type_name)
    given = {"$these: [ID!]!": [thing.id for thing in things], "$cursor: String": cursor}
    used = {name: value for name, value in given.items() if name.partition(":")[0] in body}
    head = f"({' '.join(used)})" if used else ""
    return f"query {head} {{ {body} }}", {name.partition(":")[0][1:]: value for name, value in used.items()}


async def test_e9_a_cursor_of_another_municipality_is_no_cursor(towns: Towns) -> None:
    here, there = both(towns)
    tried = set()
    for call, argument in paged():
        size = {"after": "first", "before": "last"}[argument]
        for actor in EVERYBODY:
            said = await here.json(*page(call, towns.here, f"{size}: 1"), actor=actor)
            refused = {error["extensions"]["code"] for error in said.get("errors", ())}
            assert refused <= {"UNAUTHENTICATED", "FORBIDDEN"}, said
            cursor = re.search(r"'cursor': '([^']+)'", str(said))
            if not cursor:
                continue
            tried.add((call.place, argument))
            found, expected = [
                bare(await there.post(*page(call, towns.there, f"{size}: 1 {argument}: $cursor", text), actor=actor))
                for text in (cursor[1], GARBAGE)
            ]
            assert found == expected, f"{call.place} {argument} as {actor}"
            assert b"BAD_USER_INPUT" in found[2]
    assert tried == {(call.place, argument) for call, argument in paged()}
    assert there.leaks == []


async def test_a_key_says_nothing_about_the_same_key_elsewhere(towns: Towns) -> None:
    """Idempotency keys, of people and of those who have no account yet."""
    made: dict[str, list[str]] = {}
    key = str(uuid4())
    inputs = {
        "registerDevice": ({"locale": "fi", "idempotencyKey": key}, "viewer { resident { id } }", "anonymous"),
        "submitIdea": ({"title": "Penkki", "locale": "fi", "idempotencyKey": key}, "idea { id }", "author"),
        "createGroup": ({"displayName": "Väki", "kind": "INFORMAL", "idempotencyKey": key}, "group { id }", "author"),
    }
    for name, (input, selection, actor) in inputs.items():
        type_ = f"{name[0].upper()}{name[1:]}Input"
        query = f"mutation ($i: {type_}!) {{ {name}(input: $i) {{ {selection} errors {{ code }} }} }}"
        for asker in (*both(towns), *both(towns)):
            payload = (await asker.json(query, {"i": input}, actor=actor))["data"][name]
            assert payload["errors"] == []
            made.setdefault(name, []).append(str(payload))
        first, second, first_again, second_again = made[name]
        assert (first, second) == (first_again, second_again)
        assert first != second


async def test_a_refresh_token_is_good_in_its_municipality_alone(towns: Towns) -> None:
    here, there = both(towns)
    register = "mutation ($i: RegisterDeviceInput!) { registerDevice(input: $i) { refreshToken } }"
    made = await here.json(register, {"i": {"locale": "fi", "idempotencyKey": str(uuid4())}})
    token = made["data"]["registerDevice"]["refreshToken"]
    refresh = "mutation ($i: RefreshSessionInput!) { refreshSession(input: $i) { refreshToken errors { code field } } }"
    found, expected = [bare(await there.post(refresh, {"i": {"refreshToken": each}})) for each in (token, token[::-1])]
    assert found == expected
    assert token.encode() not in found[2]
    again = await here.json(refresh, {"i": {"refreshToken": token}})
    assert again["data"]["refreshSession"]["errors"] == [], "tried elsewhere, it is as good as before"


async def test_every_redis_key_carries_its_municipality(towns: Towns, settings: Settings) -> None:
    busy = settings.model_copy(update={"rate_limits": Switch.ON})
    async with another_process(towns, busy) as again:
        for asker in both(again):
            for document in documents(asker.town)[::4]:
                await asker.post(document)
                await asker.post(document, actor="author")
            await asker.town.people.idea()
            watched = "subscription { leaderboardChanged(first: 3) { rank } }"
            api = asker.town.people.api
            await over_stream(api.app, watched, token="", slug=asker.town.slug)
        await again.here.people.api.boards_settled()
        stored = redis.Redis.from_url(settings.redis_url, decode_responses=True)
        keys = [str(key) for key in stored.keys("*")]
    ours = {str(parse_id(town.id("municipality"))[1]) for town in (towns.here, towns.there)}
    strange = [key for key in keys if not (found := KEY.match(key)) or found[1] not in ours]
    assert strange == []
    kinds = {key.split(":")[1] for key in keys}
    assert kinds >= {"answer", "board", "boards", "rate"}, kinds
