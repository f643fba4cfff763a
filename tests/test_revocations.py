"""Promises C10, D10, D13: what is called back opens nothing within five seconds, in every process, on every transport.

Two applications on the same databases stand for two processes; what only real ones show is in tests/chaos.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx2
import orjson
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from backend.app import create_app
from backend.auth.keys import load_signing_keys
from backend.auth.tokens import Claims, verify_access_token
from backend.db import revocations as feed
from backend.realtime.hub import revocations_channel
from backend.realtime.revocations import Revocations
from backend.settings import Settings
from tests.chaos.house import scratch
from tests.chaos.valkey import running_valkey
from tests.conftest import Api
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

Json = dict[str, Any]  # Any: what an answer holds
PROMISED = 5.0
GIVEN = "accessToken refreshToken"
VIEWER = "{ viewer { resident { id } } }"
NOTIFIED = "subscription { notificationReceived { id } }"
ENDED = "stream ended"


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[Starlette]:
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture(params=["Redis there", "Redis away", "Redis paused"])
async def elsewhere(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Starlette]:
    """Another process, which hears from Redis, can't reach it, or waits for it in vain."""
    if request.param == "Redis there":
        async with process(settings) as application:
            yield application
    elif request.param == "Redis away":
        async with process(settings.model_copy(update={"redis_url": "unix:///nonexistent/valkey.sock"})) as application:
            yield application
    else:
        with scratch() as folder, running_valkey(folder) as valkey:
            async with process(settings.model_copy(update={"redis_url": valkey.url})) as application:
                valkey.pause()
                yield application
                valkey.go_on()


def revocations(app: Starlette) -> Revocations:
    found: Revocations = app.state.pipeline.gate.services.revocations
    return found


async def ask(app: Starlette, query: str, token: str = "") -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://heitto.test") as client:
        return await client.post("/graphql", json={"query": query}, headers=headers)


@asynccontextmanager
async def socket(app: Starlette, token: str, query: str = NOTIFIED) -> AsyncIterator[Wire]:
    headers = {"host": "heitto.test"}
    async with Wire(app, "websocket", "/graphql", headers, subprotocols=["graphql-transport-ws"]) as wire:
        wire.put({"type": "websocket.connect"})
        assert (await wire.take())["type"] == "websocket.accept"
        wire.say({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
        assert await wire.hear() == {"type": "connection_ack"}
        wire.say({"type": "subscribe", "id": "1", "payload": {"query": query}})
        yield wire


@asynccontextmanager
async def stream(app: Starlette, token: str, query: str = NOTIFIED) -> AsyncIterator[Wire]:
    headers = {"host": "heitto.test", "content-type": "application/json", "authorization": f"Bearer {token}"}
    async with Wire(app, "http", "/graphql/stream", headers, method="POST") as wire:
        wire.put({"type": "http.request", "body": orjson.dumps({"query": query})})
        assert (await wire.take())["status"] == 200
        yield wire


async def end_of(wire: Wire) -> int | str:
    """How it ended: a close code, or ENDED for a stream without `complete`. Nothing may come before."""
    message = await wire.take()
    if message["type"] == "websocket.close":
        code: int = message["code"]
        return code
    assert message == {"type": "http.response.body", "body": b"", "more_body": False}, message
    return ENDED


async def first_event(wire: Wire) -> Any:  # Any: JSON
    message = await wire.take()
    if message["type"] == "websocket.send":
        return orjson.loads(message["text"])["payload"]
    return orjson.loads(message["body"].removeprefix(b"event: next\ndata: "))


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    """Raises TimeoutError where it doesn't within what is promised."""
    async with asyncio.timeout(PROMISED):
        while not await holds():  # noqa: ASYNC110 # what it looks at is asked over the API
            await asyncio.sleep(0.05)


async def refused(app: Starlette, token: str) -> bool:
    answer = await ask(app, VIEWER, token)
    if answer.status_code == 200:
        return False
    assert answer.status_code == 401
    assert code(answer) == "UNAUTHENTICATED"
    return True


def code(answer: httpx2.Response) -> str:
    found: str = answer.json()["errors"][0]["extensions"]["code"]
    return found


async def registered(api: Api) -> Json:
    asked = {"locale": "fi", "idempotencyKey": str(uuid4())}
    return await api.mutate("registerDevice", asked, "accessToken refreshToken viewer { resident { id } }")


def claims(api: Api, token: str) -> Claims:
    assert api.settings.signing_key_file
    keys = load_signing_keys(api.settings.signing_key_file)
    return verify_access_token(keys, token, issuer=api.settings.token_issuer)


async def end_all(api: Api, token: str) -> None:
    asked = {"exceptCurrent": False}
    payload = await api.mutate("endAllSessions", asked, "endedSessionIds", token=token)
    assert payload["errors"] == []


async def test_d10_who_signs_out_is_out_in_every_process_on_every_transport(api: Api, elsewhere: Starlette) -> None:
    phone, bystander = [(await registered(api))["accessToken"] for _ in range(2)]
    async with AsyncExitStack() as open_:
        opened = [
            await open_.enter_async_context(each(app, phone))
            for app in (api.app, elsewhere)
            for each in (socket, stream)
        ]
        others = [
            await open_.enter_async_context(each(app, bystander))
            for app in (api.app, elsewhere)
            for each in (socket, stream)
        ]
        for app in (api.app, elsewhere):
            assert not await refused(app, phone)
        await end_all(api, phone)
        began = time.monotonic()
        ends = await asyncio.gather(*(end_of(each) for each in opened))
        assert ends == [4403, ENDED, 4403, ENDED]
        assert time.monotonic() < began + PROMISED
        for app in (api.app, elsewhere):
            await soon(lambda app=app: refused(app, phone))  # type: ignore[misc] # bound at once
            with pytest.raises(AssertionError, match="4403"):
                async with socket(app, phone):
                    pass
            with pytest.raises(AssertionError, match="401"):
                async with stream(app, phone):
                    pass
            assert not await refused(app, bystander)
        for other in others:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(other.take(), 0.05)


async def test_d10_an_account_that_was_joined_into_another_is_refused_by_all_its_tokens(
    api: Api, elsewhere: Starlette
) -> None:
    first, second = await registered(api), await api.token()
    who = claims(api, first["accessToken"]).resident_id
    await feed.revoke_account(api.conn, municipality_id=api.catalogue.id, resident_id=who)
    for app in (api.app, elsewhere):
        await soon(lambda app=app: refused(app, first["accessToken"]))  # type: ignore[misc] # bound at once
        assert not await refused(app, second)


async def moderator(api: Api) -> tuple[str, UUID]:
    token = await api.token("MODERATOR")
    return token, claims(api, token).resident_id


async def test_c10_who_is_no_moderator_any_more_watches_no_hidden_idea(api: Api, elsewhere: Starlette) -> None:
    token, who = await moderator(api)
    idea_id = await api.idea()
    await api.mutate("hideIdea", {"ideaId": idea_id, "reason": "Mainos."}, "idea { id }", token=token)
    watch = f'subscription {{ ideaChanged(id: "{idea_id}") {{ id }} }}'
    for app in (api.app, elsewhere):
        assert await revocations(app).look()  # that the role was given is told, too
    async with AsyncExitStack() as open_:
        opened = [
            await open_.enter_async_context(each(app, token, watch))
            for app in (api.app, elsewhere)
            for each in (socket, stream)
        ]
        for each in opened:
            assert await first_event(each) == {"data": {"ideaChanged": {"id": idea_id}}}
        async with api.conn.transaction():
            await api.conn.execute("DELETE FROM resident_roles WHERE resident_id = $1", who)
            await feed.reopen(api.conn, municipality_id=api.catalogue.id, resident_id=who)
        began = time.monotonic()
        assert await asyncio.gather(*(end_of(each) for each in opened)) == [1012, ENDED, 1012, ENDED]
        assert time.monotonic() < began + PROMISED
        # Who comes back sees what a resident sees, and stays.
        for app in (api.app, elsewhere):
            assert not await refused(app, token)
            async with socket(app, token, watch) as wire:
                assert await first_event(wire) == {"data": {"ideaChanged": None}}
                await revocations(app).look()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(wire.take(), 0.05)


async def test_c10_who_left_the_group_sees_its_members_in_no_event(api: Api, elsewhere: Starlette) -> None:
    contact, member = await api.token(), await api.token()
    asked = {"displayName": "Puistoväki", "kind": "INFORMAL", "idempotencyKey": str(uuid4())}
    group = (await api.mutate("createGroup", asked, "group { id }", token=contact))["group"]["id"]
    await api.mutate("joinGroup", {"groupId": group}, "group { id }", token=member)
    idea_id = await api.idea(token=contact, groupId=group)
    watch = f'subscription {{ ideaChanged(id: "{idea_id}") {{ submittedBy {{ id }} }} }}'
    async with AsyncExitStack() as open_:
        opened = [
            await open_.enter_async_context(each(app, member, watch))
            for app in (api.app, elsewhere)
            for each in (socket, stream)
        ]
        for each in opened:
            assert (await first_event(each))["data"]["ideaChanged"]["submittedBy"]
        await api.mutate("leaveGroup", {"groupId": group}, "group { id }", token=member)
        await api.set_vote(idea_id, token=contact)
        for app in (api.app, elsewhere):
            app.state.pipeline.gate.services.hub.wake_all()  # as Redis would, were it there
        for each in opened:
            assert await first_event(each) == {"data": {"ideaChanged": {"submittedBy": None}}}


async def test_d13_reuse_of_a_refresh_token_ends_access_tokens_and_sockets_of_both_parties(
    api: Api, elsewhere: Starlette
) -> None:
    async def refresh(app: Starlette, token: str) -> httpx2.Response:
        return await ask(app, f'mutation {{ refreshSession(input: {{refreshToken: "{token}"}}) {{ {GIVEN} }} }}')

    phone = await registered(api)
    # Both hold the first token, and use it at the same time, each with another process.
    both = await asyncio.gather(*(refresh(app, phone["refreshToken"]) for app in (api.app, elsewhere)))
    thief, owner = [answer.json()["data"]["refreshSession"] for answer in both]
    stolen = (await refresh(elsewhere, thief["refreshToken"])).json()["data"]["refreshSession"]
    tokens = [phone["accessToken"], thief["accessToken"], owner["accessToken"], stolen["accessToken"]]
    async with AsyncExitStack() as open_:
        opened = [
            await open_.enter_async_context(each(app, token))
            for app in (api.app, elsewhere)
            for token in tokens
            for each in (socket, stream)
        ]
        # A token that is spent is a replay, whoever sends it.
        again = await asyncio.gather(*(refresh(api.app, owner["refreshToken"]) for _ in range(5)))
        assert {code(answer) for answer in again} == {"UNAUTHENTICATED"}
        assert await asyncio.gather(*(end_of(each) for each in opened)) == [4403, ENDED] * 8
        for app in (api.app, elsewhere):
            for token in tokens:
                await soon(lambda app=app, token=token: refused(app, token))  # type: ignore[misc] # bound at once
        for token in (phone, thief, owner, stolen):
            assert code(await refresh(elsewhere, token["refreshToken"])) == "UNAUTHENTICATED"
    assert await api.conn.fetchval("SELECT count(*) FROM revocations") == 1


async def test_a_lost_answer_ends_nobodys_session(api: Api) -> None:
    phone = await registered(api)
    answers = [
        await api.mutate("refreshSession", {"refreshToken": phone["refreshToken"]}, GIVEN) for _ in range(3)
    ] + await asyncio.gather(
        *(api.mutate("refreshSession", {"refreshToken": phone["refreshToken"]}, GIVEN) for _ in range(3))
    )
    assert (await api.mutate("refreshSession", {"refreshToken": answers[4]["refreshToken"]}, GIVEN))["accessToken"]
    await revocations(api.app).look()
    for answer in answers:
        assert not await refused(api.app, answer["accessToken"])


async def test_who_ends_another_session_sees_it_refused_at_once(api: Api) -> None:
    """In the process that was asked: nothing is left to chance or to Redis."""
    phone = await registered(api)
    session_id = claims(api, phone["accessToken"]).session_id
    keep = await api.mutate("refreshSession", {"refreshToken": phone["refreshToken"]}, GIVEN)
    # A second session of the account, to end the first one from.
    other = await api.conn.fetchval(
        """
        INSERT INTO sessions (municipality_id, resident_id, head_hash, refreshed_at, expires_at)
        SELECT municipality_id, resident_id, sha256('x'), now(), now() + interval '1 day' FROM sessions WHERE id = $1
        RETURNING id
        """,
        session_id,
    )
    await api.conn.execute(
        "INSERT INTO refresh_tokens SELECT municipality_id, head_hash, id, NULL, now() FROM sessions WHERE id = $1",
        other,
    )
    from_there = (await api.mutate("refreshSession", {"refreshToken": "x"}, GIVEN))["accessToken"]
    assert claims(api, from_there).session_id == other
    await api.mutate("endAllSessions", {}, "errors { code }", token=from_there)
    assert await refused(api.app, keep["accessToken"])
    assert not await refused(api.app, from_there)


async def another_connection(api: Api) -> Any:  # Any: asyncpg's connection
    return await asyncpg.connect(api.settings.database_url)


async def test_a_slow_transaction_is_not_passed_over(api: Api) -> None:
    slow, quick = [claims(api, await api.token()) for _ in range(2)]
    conn = await another_connection(api)
    where = {"municipality_id": api.catalogue.id}
    async with conn.transaction():
        await feed.revoke_account(conn, **where, resident_id=slow.resident_id)
        for n in range(3):  # later ones are committed, and read, meanwhile
            await feed.revoke_account(api.conn, **where, resident_id=quick.resident_id if n else uuid4())
            assert await revocations(api.app).look()
        assert revocations(api.app).revoked(quick.session_id, quick.resident_id)
        assert not revocations(api.app).revoked(slow.session_id, slow.resident_id)
    await conn.close()
    assert await revocations(api.app).look()
    assert revocations(api.app).revoked(slow.session_id, slow.resident_id)


async def test_revocations_told_twice_close_a_socket_once(api: Api) -> None:
    """While an older transaction runs, the feed is read again from there."""
    token, who = await moderator(api)
    conn = await another_connection(api)
    async with conn.transaction():
        await conn.execute("SELECT pg_current_xact_id()")
        await feed.reopen(api.conn, municipality_id=api.catalogue.id, resident_id=who)
        assert await revocations(api.app).look()
        async with socket(api.app, token) as wire:
            for _ in range(3):
                assert await revocations(api.app).look()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wire.take(), 0.05)
    await conn.close()


async def test_a_request_that_meets_a_change_of_roles_is_answered(api: Api) -> None:
    """Roles change all the while; whoever asks is judged by those that were read, and not sent away."""
    token, who = await moderator(api)

    async def change() -> None:
        while True:
            await feed.reopen(api.conn, municipality_id=api.catalogue.id, resident_id=who)
            await revocations(api.app).look()

    changing = asyncio.create_task(change())
    for _ in range(20):
        answers = await asyncio.gather(*(api.post(VIEWER, token=token) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
    changing.cancel()
    with suppress(asyncio.CancelledError):
        await changing


async def test_a_new_process_knows_all_that_stands_before_it_serves(api: Api, settings: Settings) -> None:
    phone = await registered(api)
    await end_all(api, phone["accessToken"])
    # Of a restored database: written under a number that is still to come.
    restored = claims(api, await api.token())
    await api.conn.execute(
        "INSERT INTO revocations VALUES ($1, uuidv7(), 1::bigint << 60, 'ACCOUNT', $2, now() + interval '1 hour')",
        api.catalogue.id,
        restored.resident_id,
    )
    later = await api.token()
    async with process(settings) as new:
        assert await refused(new, phone["accessToken"])
        assert revocations(new).revoked(restored.session_id, restored.resident_id)
        assert not await refused(new, later)
        await feed.revoke_account(
            api.conn, municipality_id=api.catalogue.id, resident_id=claims(api, later).resident_id
        )
        await soon(lambda: refused(new, later))


async def test_what_is_over_is_held_no_longer(api: Api) -> None:
    who = [uuid4() for _ in range(100)]
    await api.conn.executemany(
        "INSERT INTO revocations (municipality_id, kind, subject_id, until) VALUES ($1, 'ACCOUNT', $2, now() + $3)",
        [(api.catalogue.id, each, timedelta(seconds=1)) for each in who],
    )
    known = revocations(api.app)
    assert await known.look()
    assert all(known.revoked(each, each) for each in who)
    await asyncio.sleep(1.1)
    assert await known.look()
    assert not any(known.revoked(each, each) for each in who)


async def test_forged_messages_only_make_it_look(api: Api, redis_url: str) -> None:
    token = await api.token()
    before = revocations(api.app).sequence
    async with Redis.from_url(redis_url) as redis:
        for n in range(500):
            forged = orjson.dumps([str(claims(api, token).session_id)]) if n % 2 else b"\xff{nonsense"
            await redis.publish(revocations_channel(api.catalogue.id), forged)
    assert await revocations(api.app).look()
    assert revocations(api.app).sequence == before
    assert not await refused(api.app, token)


async def test_where_the_feed_cannot_be_read_nobody_who_signed_in_is_served(api: Api) -> None:
    """And sockets stay open but are told nothing; both are over within five seconds of the feed's return."""
    token, idea_id = await api.token(), await api.idea()
    watch = f'subscription {{ ideaChanged(id: "{idea_id}") {{ voteCount }} }}'
    conn = await another_connection(api)
    async with socket(api.app, token, watch) as wire, stream(api.app, token) as quiet:
        assert await first_event(wire) == {"data": {"ideaChanged": {"voteCount": 0}}}
        async with conn.transaction():
            await conn.execute("LOCK TABLE revocations IN ACCESS EXCLUSIVE MODE")

            await asyncio.sleep(PROMISED)
            answer = await ask(api.app, VIEWER, token)
            assert code(answer) == "UNAVAILABLE"
            assert answer.headers["retry-after"] == "2"
            assert (await ask(api.app, VIEWER)).json() == {"data": {"viewer": None}}
            assert (await ask(api.app, VIEWER, "bad")).status_code == 401
            await asyncio.sleep(1)
            await api.conn.execute("UPDATE idea_tallies SET vote_count = 1, email_count = 1")
            api.app.state.pipeline.gate.services.hub.wake_all()
            event = await first_event(wire)
            assert event["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
            assert event.get("data") is None

        async def served() -> bool:
            return (await ask(api.app, VIEWER, token)).status_code == 200

        await soon(served)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(quiet.take(), 0.05)
    await conn.close()


async def test_nothing_that_was_answered_before_is_answered_after(api: Api) -> None:
    """Answers are kept for who asks without a token; the same text with a token that is called back is refused."""
    token = (await registered(api))["accessToken"]
    await api.idea()
    queries = ["{ ideas(first: 2) { nodes { id } } }", "{ leaderboard(first: 2) { nodes { score } } }", VIEWER]
    for query in queries * 2:
        assert (await ask(api.app, query)).status_code == 200
        assert (await ask(api.app, query, token)).status_code == 200
    await end_all(api, token)
    await revocations(api.app).look()
    answers = [await ask(api.app, query, token) for query in queries]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


async def test_an_answer_that_ends_its_own_socket_is_told_or_the_socket_closes_4403(api: Api) -> None:
    token = (await registered(api))["accessToken"]
    async with socket(api.app, token) as wire:
        mutation = "mutation { endAllSessions(input: {exceptCurrent: false}) { endedSessionIds } }"
        wire.say({"type": "subscribe", "id": "2", "payload": {"query": mutation}})
        async with asyncio.timeout(PROMISED):
            while (message := await wire.take())["type"] != "websocket.close":
                pass
        assert message["code"] == 4403
    assert await api.conn.fetchval("SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL") == 1
