"""Promise E6: `WS /graphql` speaks graphql-transport-ws and nothing else."""

import asyncio
import time
from typing import Any

import pytest
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from backend.transport import socket
from backend.transport.gate import Ending
from tests.transport import toy
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

INIT = {"type": "connection_init"}


def subscribe(id: str, query: str, **variables: object) -> dict[str, object]:
    return {"type": "subscribe", "id": id, "payload": {"query": query, "variables": variables}}


def connect(
    headers: dict[str, str] | None = None,
    protocols: tuple[str, ...] = ("graphql-transport-ws",),
    app: ASGIApp | None = None,
) -> Wire:
    headers = {"host": "heitto.example", **(headers or {})}
    wire = Wire(app or toy.create_app(), "websocket", "/graphql", headers, subprotocols=list(protocols))
    wire.put({"type": "websocket.connect"})
    return wire


async def accepted(wire: Wire) -> None:
    assert await wire.take() == {"type": "websocket.accept", "subprotocol": "graphql-transport-ws"}


async def initialised(wire: Wire, **payload: str) -> None:
    await accepted(wire)
    wire.say({**INIT, "payload": payload})
    assert await wire.hear() == {"type": "connection_ack"}


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example:8443", "http://app.example"])
async def test_e6_a_foreign_origin_is_refused_before_accept(origin: str) -> None:
    async with connect({"origin": origin}) as wire:
        assert (await wire.closed())[0] == 1008  # which servers answer with 403


@pytest.mark.parametrize("origin", ["https://app.example", "https://APP.example:443", "https://heitto.example", None])
async def test_e6_known_origins_and_apps_connect(origin: str | None) -> None:
    async with connect({"origin": origin} if origin else {}) as wire:
        await initialised(wire)


@pytest.mark.parametrize("protocols", [(), ("graphql-ws",), ("other",)])
async def test_e6_other_protocols_close_4406(protocols: tuple[str, ...]) -> None:
    async with connect(protocols=protocols) as wire:
        assert (await wire.take())["type"] == "websocket.accept"
        assert await wire.closed() == (4406, "Subprotocol not acceptable")


async def test_operations_of_all_kinds_run() -> None:
    async with connect() as wire:
        await initialised(wire)
        wire.say(subscribe("s", "subscription ($to: Int!) { count(to: $to) }", to=2))
        assert await wire.hear() == {"type": "next", "id": "s", "payload": {"data": {"count": 1}}}
        assert await wire.hear() == {"type": "next", "id": "s", "payload": {"data": {"count": 2}}}
        assert await wire.hear() == {"type": "complete", "id": "s"}
        wire.say(subscribe("s", "query { hello }"))
        assert await wire.hear() == {"type": "next", "id": "s", "payload": {"data": {"hello": "Hello, world!"}}}
        assert await wire.hear() == {"type": "complete", "id": "s"}
        wire.say(subscribe("m", 'mutation { edit(input: {title: "x"}) { title } }'))
        assert (await wire.hear())["payload"] == {"data": {"edit": {"title": "x"}}}


async def test_every_event_has_a_context_of_its_own() -> None:
    gate = toy.ToyGate()
    async with connect(app=toy.create_app(toy.pipeline(gate))) as wire:
        await initialised(wire)
        wire.say(subscribe("s", "subscription { ideaChanged { author { name } } }"))
        for _ in range(3):
            await wire.hear()
    assert [context.loads for context in gate.contexts] == [0, 1, 1]
    assert len({context.request_id for context in gate.contexts}) == 1


async def test_the_token_and_the_municipality_come_with_init_or_headers() -> None:
    async with connect() as wire:
        await initialised(wire, authorization="Bearer good", municipality="other")
        wire.say(subscribe("s", "{ private }"))
        assert (await wire.hear())["payload"] == {"data": {"private": "for who signed in"}}
    async with connect({"heitto-municipality": "nowhere"}) as wire:
        await accepted(wire)
        wire.say(INIT)
        assert await wire.closed() == (4403, "Forbidden")


@pytest.mark.parametrize(
    "payload",
    [
        {"authorization": "Bearer bad"},
        {"Authorization": "Bearer bad"},
        {"authorization": "Bearer good", "Authorization": "Bearer good"},
        {"authorization": ""},
        {"municipality": "nowhere"},
    ],
)
async def test_e6_who_is_not_admitted_closes_4403(payload: dict[str, str]) -> None:
    async with connect() as wire:
        await accepted(wire)
        wire.say({**INIT, "payload": payload})
        assert await wire.closed() == (4403, "Forbidden")


async def test_a_token_in_header_and_init_is_two_tokens() -> None:
    async with connect({"authorization": "Bearer good"}) as wire:
        await accepted(wire)
        wire.say({**INIT, "payload": {"authorization": "Bearer good"}})
        assert await wire.closed() == (4403, "Forbidden")


async def test_a_failing_gate_closes_1013_and_is_logged() -> None:
    with capture_logs() as logs:
        async with connect(app=toy.create_app(toy.pipeline(toy.ToyGate(broken=True)))) as wire:
            await accepted(wire)
            wire.say(INIT)
            assert await wire.closed() == (1013, "Try again later")
    assert len(logs) == 1


async def test_e6_no_init_closes_4408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "INIT_SECONDS", 0.05)
    async with connect() as wire:
        await accepted(wire)
        assert await wire.closed() == (4408, "Connection initialisation timeout")


async def test_e6_subscribe_before_init_closes_4401() -> None:
    async with connect() as wire:
        await accepted(wire)
        wire.say(subscribe("s", "{ hello }"))
        assert await wire.closed() == (4401, "Unauthorized")


async def test_e6_two_inits_close_4429() -> None:
    async with connect() as wire:
        await initialised(wire)
        wire.say(INIT)
        assert await wire.closed() == (4429, "Too many initialisation requests")


async def test_e6_the_same_id_closes_4409() -> None:
    async with connect() as wire:
        await initialised(wire)
        wire.say(subscribe("s", "subscription { endless }"))
        await wire.hear()
        wire.say(subscribe("s", "subscription { endless }"))
        assert (await wire.closed())[0] == 4409
    assert toy.seen["closed"] == 1


BAD_FRAMES: dict[str, Any] = {  # Any: frames of every shape
    "not JSON": "hello",
    "no object": [1],
    "no type": {"id": "1"},
    "an unknown type": {"type": "start", "id": "1", "payload": {}},
    "no id": {"type": "subscribe", "payload": {"query": "{ hello }"}},
    "an empty id": {"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}},
    "an id of another type": {"type": "subscribe", "id": 1, "payload": {"query": "{ hello }"}},
    "no payload": {"type": "subscribe", "id": "1"},
    "a payload of another type": {"type": "subscribe", "id": "1", "payload": "{ hello }"},
    "complete without id": {"type": "complete"},
    "a lone surrogate": '{"type":"complete","id":"\\ud800"}',
    "NUL": '{"type":"complete","id":"\\u0000"}',
    "very deep": "[" * 30_000 + "]" * 30_000,
}


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
async def test_e6_a_bad_frame_closes_4400(frame: object) -> None:
    async with connect() as wire:
        await initialised(wire)
        wire.say(frame)
        assert (await wire.closed())[0] == 4400


@pytest.mark.parametrize("payload", ["x", [1], {"authorization": 1}, {"municipality": []}])
async def test_e6_a_bad_init_closes_4400(payload: object) -> None:
    async with connect() as wire:
        await accepted(wire)
        wire.say({**INIT, "payload": payload})
        assert await wire.closed() == (4400, "Invalid connection_init payload")


async def test_e6_binary_frames_close_4400() -> None:
    async with connect() as wire:
        await initialised(wire)
        wire.put({"type": "websocket.receive", "bytes": b'{"type":"ping"}'})
        assert (await wire.closed())[0] == 4400


async def test_e6_a_message_over_64_kb_closes_1009() -> None:
    async with connect() as wire:
        await initialised(wire)
        wire.say(subscribe("s", "{ hello }", x="y" * 65_536))
        assert (await wire.closed())[0] == 1009


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ hello", "GRAPHQL_PARSE_FAILED"),
        ("{ ideas(first: 100) { nodes { comments(first: 100) { nodes { id } } } } }", "QUERY_TOO_COMPLEX"),
        ("query ($n: Int!) { ideas(first: $n) { nodes { id } } }", "BAD_USER_INPUT"),
        ("subscription ($n: Int!) { count(to: $n) }", "BAD_USER_INPUT"),
        ("{ private }", "UNAUTHENTICATED"),
        ("subscription { privateEvents }", "UNAUTHENTICATED"),
        ("", "BAD_USER_INPUT"),
    ],
)
async def test_e3_an_operation_that_may_not_run_is_an_error_message(query: str, code: str) -> None:
    async with connect() as wire:
        await initialised(wire)
        wire.say(subscribe("s", query))
        message = await wire.hear()
        assert (message["type"], message["id"]) == ("error", "s")
        assert message["payload"][0]["extensions"]["code"] == code
        wire.say({"type": "ping"})  # the socket lives on
        assert await wire.hear() == {"type": "pong"}
    assert not toy.seen


async def test_e7_a_failing_subscription_ends_with_a_request_id() -> None:
    with capture_logs() as logs:
        async with connect() as wire:
            await initialised(wire)
            wire.say(subscribe("s", "subscription { breaking }"))
            assert (await wire.hear())["payload"] == {"data": {"breaking": 1}}
            [error] = (await wire.hear())["payload"]["errors"]
            assert await wire.hear() == {"type": "complete", "id": "s"}
    assert error["extensions"] == {"code": "INTERNAL", "requestId": logs[0]["request_id"]}
    assert len(logs) == 1


async def test_e6_ten_subscriptions_a_socket() -> None:
    async with connect() as wire:
        await initialised(wire)
        for number in range(10):
            wire.say(subscribe(str(number), "subscription { endless }"))
            await wire.hear()
        wire.say(subscribe("11", "subscription { endless }"))
        message = await wire.hear()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "RATE_LIMITED")
        wire.say({"type": "complete", "id": "0"})
        wire.say(subscribe("12", "subscription { endless }"))
        assert (await wire.hear())["id"] == "12"
    assert (toy.seen["opened"], toy.seen["closed"]) == (11, 11)


async def test_complete_closes_the_generator_and_frees_the_id() -> None:
    async with connect() as wire:
        await initialised(wire)
        for closed in range(3):
            assert toy.seen["closed"] == closed
            wire.say(subscribe("s", "subscription { endless }"))
            assert (await wire.hear())["type"] == "next"
            wire.say({"type": "complete", "id": "s"})
            wire.say({"type": "ping"})
            assert await wire.hear() == {"type": "pong"}
            await asyncio.sleep(0)


async def test_e6_token_expiry_closes_4403() -> None:
    async with connect() as wire:
        await initialised(wire, authorization="Bearer 0.1")
        wire.say(subscribe("s", "subscription { endless }"))
        await wire.hear()
        assert await wire.closed() == (4403, "Forbidden")
    assert toy.seen["closed"] == 1


async def test_e6_token_expiry_is_told_as_such_by_a_timer_that_is_early(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connect() as wire:
        await initialised(wire, authorization="Bearer 0.1")
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now)
        assert await wire.closed() == (4403, "Forbidden")


async def test_e6_after_an_hour_clients_are_asked_to_reconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "LIFE_SECONDS", 0.05)
    async with connect() as wire:
        await initialised(wire, authorization="Bearer good")
        assert await wire.closed() == (1012, "Reconnect")


async def test_f7_drain_ends_sockets_with_1012() -> None:
    pipeline = toy.pipeline()
    async with connect(app=toy.create_app(pipeline)) as wire:
        await initialised(wire)
        wire.say(subscribe("s", "subscription { endless }"))
        await wire.hear()
        pipeline.drain()
        assert await wire.closed() == (1012, "Reconnect")
    assert toy.seen["closed"] == 1


async def test_f6_who_reads_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "SEND_SECONDS", 0.05)
    async with connect() as wire:
        await initialised(wire)
        wire.blocked = True
        wire.say(subscribe("s", "subscription { endless }"))
        await asyncio.wait_for(wire.task, 5)
    assert (toy.seen["opened"], toy.seen["closed"]) == (1, 1)


async def test_who_answers_no_ping_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "PING_SECONDS", 0.05)
    async with connect() as wire:
        await initialised(wire)
        assert await wire.hear() == {"type": "ping"}
        wire.say({"type": "pong"})
        assert await wire.hear() == {"type": "ping"}
        assert await wire.closed() == (1001, "No answer to a ping")


async def test_leaving_closes_every_generator() -> None:
    async with connect() as wire:
        await initialised(wire)
        for number in range(3):
            wire.say(subscribe(str(number), "subscription { endless }"))
            await wire.hear()
    assert (toy.seen["opened"], toy.seen["closed"]) == (3, 3)


@pytest.mark.parametrize(
    ("ending", "close"), [(Ending.FORBIDDEN, (4403, "Forbidden")), (Ending.RECONNECT, (1012, "Reconnect"))]
)
async def test_c10_a_socket_ends_when_its_caller_is_turned_away_also_before_it_was_ready(
    ending: Ending, close: tuple[int, str]
) -> None:
    gate = toy.ToyGate()
    pipeline = toy.pipeline(gate)
    async with connect(app=toy.create_app(pipeline)) as wire, connect(app=toy.create_app(pipeline)) as other:
        await initialised(wire, authorization="Bearer good")
        await initialised(other)
        wire.say(subscribe("s", "subscription { endless }"))
        assert (await wire.hear())["payload"] == {"data": {"endless": 1}}
        gate.turned_away = ending
        pipeline.review()
        assert await wire.closed() == close
        assert toy.seen["closed"] == 1
        async with connect(app=toy.create_app(pipeline)) as late:  # admitted before, and ready after
            await accepted(late)
            late.say({**INIT, "payload": {"authorization": "Bearer good"}})
            if (await late.take())["type"] != "websocket.close":
                assert await late.closed() == close
        other.say(subscribe("s", "{ hello }"))
        assert (await other.hear())["payload"] == {"data": {"hello": "Hello, world!"}}
