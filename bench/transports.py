"""One request to an ASGI application over each transport, without a network between, and what it ended with."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import orjson
from starlette.types import ASGIApp, Message

from bench.hostile import TOO_LARGE, Attack

TRANSPORTS: Final = ("POST", "GET", "SSE POST", "SSE GET", "WebSocket")
LONGEST_QUERY_STRING: Final = 128 * 1024
_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Ended:
    """`code`: of the first error, or of the close frame. `status` is that of HTTP, 101 on a socket."""

    code: str
    status: int
    body: bytes


def query_string(attack: Attack) -> bytes | None:
    """As a GET says it; None for a body that no query string can be."""
    if attack.raw:
        return None
    said = [("query", attack.fresh_query()), ("operationName", attack.operation_name)]
    said += [("variables", attack.variables.decode()), ("extensions", attack.extensions.decode())]
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in said if value).encode()


def expected(attack: Attack, transport: str) -> str:
    """The code it must end with: that of its fault, or of what doesn't fit into this transport at all."""
    if transport == "WebSocket":
        return attack.socket or attack.code
    if "GET" in transport and len(query_string(attack) or b"") > LONGEST_QUERY_STRING:
        return TOO_LARGE
    return attack.code


async def send(app: ASGIApp, transport: str, attack: Attack, headers: dict[str, str]) -> Ended | None:
    """None where this transport has no way to say it."""
    if transport == "WebSocket":
        return await _over_websocket(app, attack.body(), headers)
    query = query_string(attack) if "GET" in transport else b""
    if query is None:
        return None
    stream = transport.startswith("SSE")
    sent = {**headers, "accept": "text/event-stream" if stream else "application/json; q=0.9, */*"}
    if "POST" in transport:
        sent["content-type"] = "application/json"
    scope = _scope("http", "/graphql/stream" if stream else "/graphql", sent, query)
    scope |= {"method": transport.rsplit(maxsplit=1)[-1]}
    asked = iter([{"type": "http.request", "body": attack.body() if "POST" in transport else b""}])
    out = await _run(app, scope, asked)
    body = b"".join(message.get("body", b"") for message in out[1:])
    if stream and body.startswith(b"event: next\ndata: "):
        body = body.removeprefix(b"event: next\ndata: ").partition(b"\n")[0]
    return Ended(_code(orjson.loads(body)), out[0]["status"], body)


async def _over_websocket(app: ASGIApp, payload: bytes, headers: dict[str, str]) -> Ended:
    scope = _scope("websocket", "/graphql", {"host": "heitto.test", **headers}, b"")
    scope |= {"subprotocols": ["graphql-transport-ws"]}
    frames: Iterator[Message] = iter(
        [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": '{"type":"connection_init"}'},
            {"type": "websocket.receive", "text": '{"type":"subscribe","id":"1","payload":' + payload.decode() + "}"},
        ]
    )
    out = await _run(app, scope, frames, until=("error", "complete"))
    last = out[-1] if out[-1]["type"] == "websocket.close" else out[2]
    if last["type"] == "websocket.close":
        return Ended(str(last["code"]), 101, last.get("reason", "").encode())
    said = orjson.loads(last["text"])
    payload = orjson.dumps(said.get("payload"))
    return Ended(_code({"errors": said["payload"]} if said["type"] == "error" else said["payload"]), 101, payload)


def _scope(type: str, path: str, headers: dict[str, str], query: bytes) -> dict[str, Any]:  # Any: ASGI's own type
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": type, "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query} | {
        "headers": raw,
        "client": ("192.0.2.1", 5000),
        "scheme": "http",
        "http_version": "1.1",
        "state": {},
    }


async def _run(
    app: ASGIApp, scope: dict[str, Any], messages: Iterator[Message], until: tuple[str, ...] = ()
) -> list[Message]:  # Any: likewise
    out: list[Message] = []
    done = asyncio.Event()

    async def receive() -> Message:
        for message in messages:
            return message
        await done.wait()
        return {"type": "websocket.disconnect", "code": 1000} if until else {"type": "http.disconnect"}

    async def tell(message: Message) -> None:
        out.append(message)
        text = message.get("text") or ""
        if any(f'"type":"{kind}"' in text[:30] for kind in until):
            done.set()

    async with asyncio.timeout(_SECONDS):
        await app(scope, receive, tell)
    return out


def _code(answer: dict[str, Any]) -> str:  # Any: JSON
    errors = answer.get("errors") or [{}]
    code: str = errors[0].get("extensions", {}).get("code", "")
    return code
