"""Every subscription, over both transports, as everybody and about everything."""

import asyncio
from contextlib import AsyncExitStack

import orjson
import pytest

from backend.ids import parse_id
from backend.realtime.hub import notifications_channel
from tests.access.asking import Asker, both
from tests.access.live import BRIEFLY, PATIENCE, TRANSPORTS, WAITS, code, opened_stream
from tests.access.test_elsewhere import MALFORMED, id_places, names, pairs
from tests.access.test_sights import SEEN_BY
from tests.access.towns import Towns
from tests.calls import Call, Json, calls
from tests.schema_walk import root_fields
from tests.test_access import EVERYBODY

pytestmark = pytest.mark.anyio

# What a subscription says at once, and to whom; None where it waits for something to happen. Others are refused.
AT_ONCE: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "leaderboardChanged": ("the board", EVERYBODY),
    "ideaChanged": ("the idea", EVERYBODY),
    "notificationReceived": (None, EVERYBODY[1:]),
}


def subscriptions() -> dict[str, str]:
    """Each by its name, with all that it takes left out that may be."""
    found = {call.name: call.document for call in calls() if call.kind == "subscription"}
    found |= {
        name: f"subscription {{ {name} {{ __typename }} }}" for name in root_fields("subscription").keys() - found
    }
    return found


async def ask(
    asker: Asker, transport: str, document: str, variables: Json, actor: str, patience: float = PATIENCE
) -> Json:
    people = asker.town.people
    token = people.tokens.get(actor, "")
    subscribe = TRANSPORTS[transport]
    said = await subscribe(people.api.app, document, variables, token=token, slug=people.slug, patience=patience)
    asker.check(orjson.dumps(said).decode(), sent=str(variables), where=f"{document[:100]} as {actor}")
    return said


def by_name() -> dict[str, Call]:
    return {call.name: call for call in calls() if call.kind == "subscription"}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_subscription_answers_those_listed(towns: Towns, transport: str) -> None:
    here, _ = both(towns)
    assert AT_ONCE.keys() == root_fields("subscription").keys()
    await towns.here.people.api.boards_settled()
    ids = names(towns.here)
    for name, document in subscriptions().items():
        variables = by_name()[name].variables(ids) if name in by_name() else {}
        said_at_once, allowed = AT_ONCE[name]
        for actor in EVERYBODY:
            waits = actor in allowed and not said_at_once
            said = await ask(here, transport, document, variables, actor, BRIEFLY if waits else PATIENCE)
            if actor not in allowed:
                assert code(said) in {"UNAUTHENTICATED", "FORBIDDEN"}, f"{name} as {actor}: {said}"
            elif said_at_once:
                assert said["data"][name], f"{name} as {actor}: {said}"
            else:
                assert said == WAITS
    assert here.leaks == []


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_subscription_shows_what_its_subscriber_may_see(towns: Towns, transport: str) -> None:
    here, there = both(towns)
    await towns.here.people.api.boards_settled()
    for call, path, _ in id_places():
        if call.kind != "subscription":
            continue
        ids = names(towns.here)
        for thing in towns.here.of_type("Idea") if call.name == "ideaChanged" else ():
            for actor in EVERYBODY:
                said = await ask(
                    here, transport, call.document, call.put(call.variables(ids), path, thing.id, ids), actor
                )
                seen = actor in SEEN_BY.get(thing.label, " ".join(EVERYBODY)).split()
                assert bool(said["data"][call.name]) == seen, f"{thing.label} as {actor}: {said}"
                assert thing.id in str(said) or not seen
        ids = names(towns.there)
        for theirs, nobodys in pairs(towns.here):
            for actor in ("anonymous", "author", "moderator", "administrator"):
                found, expected = [
                    await ask(there, transport, call.document, call.put(call.variables(ids), path, each, ids), actor)
                    for each in (theirs, nobodys)
                ]
                assert found == expected, f"{call.name} {path} {theirs} as {actor}"
        for text in MALFORMED:
            said = await ask(there, transport, call.document, call.put(call.variables(ids), path, text, ids), "author")
            assert code(said) == "BAD_USER_INPUT"
    assert here.leaks + there.leaks == []


async def test_c10_what_happens_is_told_to_those_who_may_see_it_then(towns: Towns) -> None:
    """Everybody watches an idea that is hidden under their eyes, and their own notifications, of which one comes."""
    people, idea = towns.here.people, towns.here.id("idea")
    watched = f'subscription {{ ideaChanged(id: "{idea}") {{ id title }} }}'
    async with AsyncExitStack() as stack:
        ideas, news = {}, {}
        for actor in EVERYBODY:
            token = people.tokens.get(actor, "")
            ideas[actor] = await stack.enter_async_context(opened_stream(people.api.app, watched, token=token))
            assert idea in str(await ideas[actor].event())
            if token:
                document = "subscription { notificationReceived { id } }"
                news[actor] = await stack.enter_async_context(opened_stream(people.api.app, document, token=token))
        asked = {"ideaId": idea, "reason": "Mainos."}
        await people.api.mutate("hideIdea", asked, "idea { id }", token=people.tokens["moderator"])
        for actor, stream in ideas.items():
            seen = (await stream.event())["data"]["ideaChanged"]
            assert bool(seen) == (actor in {"author", "moderator"}), actor
        made = await people.notification("author", towns.here.id("voted idea"))
        municipality_id = parse_id(towns.here.id("municipality"))[1]
        redis = people.api.app.state.pipeline.gate.services.redis
        for id in people.ids.values():  # each is woken, and reads with its own eyes
            await redis.publish(notifications_channel(municipality_id), orjson.dumps([str(id)]))
        assert (await news["author"].event())["data"]["notificationReceived"] == {"id": made}
        await asyncio.sleep(BRIEFLY)
        assert [actor for actor, stream in news.items() if stream.spoke()] == []
