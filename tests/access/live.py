"""The first thing that a subscription says, over both transports, told alike."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import orjson
from starlette.types import ASGIApp

from backend.demo.load import SLUG
from tests.calls import Json
from tests.transport.wire import Wire

PATIENCE: Final = 5.0  # seconds
BRIEFLY: Final = 0.05  # for what is expected to say nothing
WAITS: Final[Json] = {"waits": True}
FORBIDDEN: Final = 4403
EVENT: Final = b"event: next\ndata: "

First: TypeAlias = Callable[..., Coroutine[None, None, Json]]


def _headers(token: str, slug: str) -> dict[str, str]:
    given = {"authorization": f"Bearer {token}"} if token else {}
    return {"content-type": "application/json", "host": "heitto.test", "heitto-municipality": slug, **given}


async def over_stream(
    app: ASGIApp,
    document: str,
    variables: Mapping[str, object] | None = None,
    *,
    token: str,
    slug: str,
    patience: float = PATIENCE,
    name: str | None = None,
) -> Json:
    """The payload of the first event or of the refusal; WAITS where none comes, `closed` where it ends before."""
    body = json.dumps({"query": document, "variables": variables or {}, "operationName": name}).encode()
    async with Wire(app, "http", "/graphql/stream", _headers(token, slug), method="POST") as wire:
        wire.put({"type": "http.request", "body": body, "more_body": False})
        await wire.take()
        try:
            text: bytes = (await asyncio.wait_for(wire.take(), patience))["body"]
        except TimeoutError:
            return WAITS
    if not text:  # the subscriber's roles or sessions are others by now
        return {"closed": "stream"}
    found: Json = orjson.loads(text.removeprefix(EVENT))
    return found


async def over_socket(
    app: ASGIApp,
    document: str,
    variables: Mapping[str, object] | None = None,
    *,
    token: str,
    slug: str,
    patience: float = PATIENCE,
) -> Json:
    """Likewise; `closed` where the socket was refused as a whole."""
    async with Wire(
        app, "websocket", "/graphql", {"host": "heitto.test"}, subprotocols=["graphql-transport-ws"]
    ) as wire:
        wire.put({"type": "websocket.connect"})
        await wire.take()
        given = {"authorization": f"Bearer {token}"} if token else {}
        wire.say({"type": "connection_init", "payload": {"municipality": slug, **given}})
        answer = await wire.take()
        if answer["type"] == "websocket.close":
            return {"closed": answer["code"]}
        wire.say({"type": "subscribe", "id": "1", "payload": {"query": document, "variables": variables or {}}})
        try:
            message = orjson.loads((await asyncio.wait_for(wire.take(), patience))["text"])
        except TimeoutError:
            return WAITS
    return {"errors": message["payload"]} if message["type"] == "error" else message["payload"]


class Stream:
    """Events as they come."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def event(self) -> Json:
        found: Json = orjson.loads((await self._wire.take())["body"].removeprefix(EVENT))
        return found

    def spoke(self) -> bool:
        return self._wire.waiting()


@asynccontextmanager
async def opened_stream(app: ASGIApp, document: str, *, token: str, slug: str = SLUG) -> AsyncIterator[Stream]:
    async with Wire(app, "http", "/graphql/stream", _headers(token, slug), method="POST") as wire:
        wire.put({"type": "http.request", "body": orjson.dumps({"query": document}), "more_body": False})
        assert (await wire.take())["status"] == 200
        yield Stream(wire)


TRANSPORTS: Final[Mapping[str, First]] = {"stream": over_stream, "socket": over_socket}


def code(said: Json) -> str:
    """The code of a refusal, or an empty text."""
    if "closed" in said:
        return str(said["closed"])
    errors = said.get("errors") or [{"extensions": {"code": ""}}]
    found: str = errors[0]["extensions"]["code"]
    return found
