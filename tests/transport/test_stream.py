"""`/graphql/stream`: graphql-sse, distinct connections mode."""

import asyncio
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from starlette.types import ASGIApp

from backend.transport import stream
from backend.transport.gate import Ending
from tests.transport import toy
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio


def post(query: str, *, app: ASGIApp | None = None, headers: dict[str, str] | None = None) -> Wire:
    headers = {"content-type": "application/json", "accept": "text/event-stream", **(headers or {})}
    wire = Wire(app or toy.create_app(), "http", "/graphql/stream", headers, method="POST")
    wire.put({"type": "http.request", "body": orjson.dumps({"query": query}), "more_body": False})
    return wire


def get(**parameters: str) -> Wire:
    headers = {"accept": "text/event-stream"}
    query_string = urlencode(parameters).encode()
    return Wire(toy.create_app(), "http", "/graphql/stream", headers, method="GET", query_string=query_string)


async def started(wire: Wire) -> dict[str, str]:
    message = await wire.take()
    assert (message["type"], message["status"]) == ("http.response.start", 200)
    return {name.decode(): value.decode() for name, value in message["headers"]}


async def event(wire: Wire) -> str:
    text: str = (await wire.take())["body"].decode()
    return text


async def status(wire: Wire) -> tuple[int, str]:
    start, body = await wire.take(), orjson.loads((await wire.take())["body"])
    return start["status"], body["errors"][0]["extensions"]["code"]


async def test_a_subscription_is_a_stream_of_events() -> None:
    async with post("subscription { count(to: 2) }") as wire:
        headers = await started(wire)
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("private, no-store", "no")
        assert await event(wire) == 'event: next\ndata: {"data":{"count":1}}\n\n'
        assert await event(wire) == 'event: next\ndata: {"data":{"count":2}}\n\n'
        assert await event(wire) == "event: complete\ndata:\n\n"


@pytest.mark.parametrize(
    "document", ["{ hello }", 'mutation { hello: edit(input: {title: "Hello, world!"}) { title } }']
)
async def test_queries_and_mutations_are_streams_of_one(document: str) -> None:
    async with post(document) as wire:
        await started(wire)
        assert "Hello, world!" in await event(wire)
        assert await event(wire) == stream.COMPLETE.decode()


async def test_an_event_source_names_its_municipality_in_the_url() -> None:
    async with get(
        query="subscription ($n: Int!) { count(to: $n) }", variables='{"n":1}', municipality="other"
    ) as wire:
        await started(wire)
        assert await event(wire) == 'event: next\ndata: {"data":{"count":1}}\n\n'
    async with get(query="{ hello }", municipality="nowhere") as wire:
        assert await status(wire) == (404, "NOT_FOUND")


async def test_e5_a_get_never_changes_anything() -> None:
    async with get(query='mutation { edit(input: {title: "x"}) { title } }') as wire:
        assert await status(wire) == (405, "METHOD_NOT_ALLOWED")
    assert not toy.seen


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ ideas(first: 100) { nodes { comments(first: 100) { nodes { id } } } } }", "QUERY_TOO_COMPLEX"),
        ("subscription ($n: Int!) { count(to: $n) }", "BAD_USER_INPUT"),
    ],
)
async def test_e3_what_is_wrong_with_a_document_is_an_event(query: str, code: str) -> None:
    async with post(query) as wire:
        await started(wire)
        said: Any = orjson.loads((await event(wire)).removeprefix("event: next\ndata: "))  # Any: JSON
        assert said["errors"][0]["extensions"]["code"] == code
        assert await event(wire) == stream.COMPLETE.decode()


async def test_a_null_where_none_may_be_is_the_callers_mistake() -> None:
    query = "subscription ($n: Int = 1) { count(to: $n) }"  # valid: the variable has a default
    async with get(query=query, variables='{"n":null}') as wire:
        await started(wire)
        said: Any = orjson.loads((await event(wire)).removeprefix("event: next\ndata: "))  # Any: JSON
        assert said["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("{ hello }", {"authorization": "Bearer bad"}, (401, "UNAUTHENTICATED")),
        ("subscription { privateEvents }", {}, (401, "UNAUTHENTICATED")),
        ("{ hello }", {"accept": "application/json"}, (406, "NOT_ACCEPTABLE")),
        ("{ hello }", {"content-type": "text/plain"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
    ],
)
async def test_who_may_not_ask_gets_a_status(query: str, headers: dict[str, str], expected: tuple[int, str]) -> None:
    async with post(query, headers=headers) as wire:
        assert await status(wire) == expected
    assert not toy.seen


async def test_silence_is_filled_with_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.02)
    async with post("subscription { endless }") as wire:
        await started(wire)
        await event(wire)
        assert [await event(wire) for _ in range(3)] == [":\n\n"] * 3


async def test_a_stream_ends_without_complete_so_that_clients_reconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LIFE_SECONDS", 0.05)
    async with post("subscription { endless }") as wire:
        await started(wire)
        await event(wire)
        assert await wire.take() == {"type": "http.response.body", "body": b"", "more_body": False}
    assert toy.seen["closed"] == 1


async def test_a_stream_ends_with_its_token() -> None:
    async with post("subscription { endless }", headers={"authorization": "Bearer 0.1"}) as wire:
        await started(wire)
        await event(wire)
        assert await event(wire) == ""
    assert toy.seen["closed"] == 1


async def test_f7_drain_ends_streams() -> None:
    pipeline = toy.pipeline()
    async with post("subscription { endless }", app=toy.create_app(pipeline)) as wire:
        await started(wire)
        await event(wire)
        pipeline.drain()
        assert await event(wire) == ""


async def test_c10_a_stream_ends_without_complete_when_its_caller_is_turned_away_also_before_it_began() -> None:
    gate = toy.ToyGate()
    pipeline, token = toy.pipeline(gate), {"authorization": "Bearer good"}
    app = toy.create_app(pipeline)
    async with post("subscription { endless }", app=app, headers=token) as wire, post("{ hello }", app=app) as other:
        await started(wire)
        await event(wire)
        gate.turned_away = Ending.RECONNECT
        pipeline.review()
        assert await event(wire) == ""
        assert toy.seen["closed"] == 1
        async with post("subscription { endless }", app=app, headers=token) as late:
            await started(late)
            assert await event(late) == ""
        await started(other)
        assert "Hello" in await event(other)


async def test_leaving_closes_the_generator() -> None:
    async with post("subscription { endless }") as wire:
        await started(wire)
        await event(wire)
        assert toy.seen["closed"] == 0
    assert toy.seen["closed"] == 1


async def test_f6_who_reads_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_SECONDS", 0.05)
    async with post("subscription { endless }") as wire:
        await started(wire)
        wire.blocked = True
        await asyncio.wait_for(wire.task, 5)
    assert (toy.seen["opened"], toy.seen["closed"]) == (1, 1)
