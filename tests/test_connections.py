"""How many sockets and streams one account, or one network without one, may hold open."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import orjson
import pytest
from redis.asyncio import Redis

from backend.app import create_app
from backend.errors import RateLimited
from backend.realtime import connections
from backend.realtime.connections import MOST, Connections, Most, open_key
from backend.realtime.redis import open_redis
from backend.settings import Settings, Switch
from tests.conftest import Api
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

BOARD = "subscription { leaderboardChanged(first: 1) { rank } }"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Limits switched on."""
    return settings.model_copy(update={"rate_limits": Switch.ON})


async def socket(stack: AsyncExitStack, api: Api, token: str = "") -> tuple[Wire, Any]:  # Any: JSON, or a close
    wire = Wire(api.app, "websocket", "/graphql", {"host": "x"}, subprotocols=["graphql-transport-ws"])
    await stack.enter_async_context(wire)
    wire.put({"type": "websocket.connect"})
    assert (await wire.take())["type"] == "websocket.accept"
    wire.say({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"} if token else {}})
    message = await wire.take()
    return wire, message.get("code") or orjson.loads(message["text"])["type"]


async def stream(stack: AsyncExitStack, api: Api, token: str = "") -> tuple[Wire, int]:
    headers = {"accept": "text/event-stream", **({"authorization": f"Bearer {token}"} if token else {})}
    query = urlencode({"query": BOARD}).encode()
    wire = Wire(api.app, "http", "/graphql/stream", headers, method="GET", query_string=query)
    await stack.enter_async_context(wire)
    status = (await wire.take())["status"]
    if status == 200:
        await wire.take()  # the first event: nothing is under way when the test ends
    return wire, status


async def test_an_account_has_five_sockets_and_when_one_closes_another_may_open(api: Api) -> None:
    token, other = await api.token(), await api.token()
    async with AsyncExitStack() as rest:
        async with AsyncExitStack() as one:
            assert (await socket(one, api, token))[1] == "connection_ack"
            opened = [(await socket(rest, api, token))[1] for _ in range(5)]
            assert opened == ["connection_ack"] * 4 + [1013]
            assert (await socket(rest, api, other))[1] == "connection_ack"
            assert (await socket(rest, api))[1] == "connection_ack"
        assert (await socket(rest, api, token))[1] == "connection_ack"
        assert (await socket(rest, api, token))[1] == 1013


async def test_an_account_has_ten_streams_beside_its_sockets(api: Api) -> None:
    token = await api.token()
    async with AsyncExitStack() as rest:
        async with AsyncExitStack() as one:
            assert (await stream(one, api, token))[1] == 200
            assert [(await stream(rest, api, token))[1] for _ in range(9)] == [200] * 9
            refused, status = await stream(rest, api, token)
            body = orjson.loads((await refused.take())["body"])
            assert (status, body["errors"][0]["extensions"]) == (429, {"code": "RATE_LIMITED", "retryAfter": 10})
            assert (await socket(rest, api, token))[1] == "connection_ack"
        assert (await stream(rest, api, token))[1] == 200


async def test_a_network_without_accounts_has_a_bound_of_its_own(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {each.network for each in MOST.values()} == {200}
    monkeypatch.setattr(connections, "MOST", {"socket": Most(5, 2), "stream": Most(10, 2)})
    async with AsyncExitStack() as rest:
        assert [(await socket(rest, api))[1] for _ in range(3)] == ["connection_ack"] * 2 + [1013]
        assert [(await stream(rest, api))[1] for _ in range(3)] == [200, 200, 429]
        assert (await socket(rest, api, await api.token()))[1] == "connection_ack"


async def test_several_processes_hold_no_more_than_one(api: Api, settings: Settings) -> None:
    token = await api.token()
    other = create_app(settings)
    async with other.router.lifespan_context(other), AsyncExitStack() as rest:
        elsewhere = replace(api, app=other)
        async with AsyncExitStack() as first:
            assert [(await socket(first, api, token))[1] for _ in range(3)] == ["connection_ack"] * 3
            opened = [(await socket(rest, elsewhere, token))[1] for _ in range(3)]
            assert opened == ["connection_ack"] * 2 + [1013]
            assert [(await stream(rest, each, token))[1] for each in (api, elsewhere) * 6] == [200] * 10 + [429] * 2
        assert [(await socket(rest, elsewhere, token))[1] for _ in range(4)] == ["connection_ack"] * 3 + [1013]


def one(connections: Connections) -> AbstractAsyncContextManager[None]:
    return connections.hold("socket", municipality_id=UUID(int=1), account=UUID(int=2), network="192.0.2.1")


async def test_what_a_dead_process_held_ends_by_itself_and_what_is_open_lasts(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LEASE_MS", 600)
    redis = open_redis(redis_url)
    dead, alive = Connections(redis), Connections(redis)
    for _ in range(4):
        assert await dead._entered(open_key(UUID(int=1), "socket", UUID(int=2)), uuid4().hex, 5)
    async with AsyncExitStack() as held:
        await held.enter_async_context(one(alive))
        with pytest.raises(RateLimited):
            await held.enter_async_context(one(alive))
        await asyncio.sleep(1.2)
        for _ in range(4):
            await held.enter_async_context(one(alive))
        with pytest.raises(RateLimited):  # the one of the beginning was renewed
            await held.enter_async_context(one(Connections(redis)))
    assert await redis.keys("*:open:*") == []
    await redis.aclose()


async def test_without_redis_a_process_goes_by_its_own_count() -> None:
    alone = Connections(Redis.from_url("unix:///nowhere/valkey.sock", retry=None))
    async with AsyncExitStack() as held:
        for _ in range(5):
            await held.enter_async_context(one(alone))
        with pytest.raises(RateLimited):
            await held.enter_async_context(one(alone))


async def test_what_was_open_is_forgotten_when_it_ends(api: Api) -> None:
    async with AsyncExitStack() as rest:
        await socket(rest, api)
        await stream(rest, api)
        assert sum(api.app.state.pipeline.gate.services.connections._open.values()) == 2
    assert api.app.state.pipeline.gate.services.connections._open == {}
