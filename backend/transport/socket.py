"""`WS /graphql`: the sub-protocol graphql-transport-ws, on the same pipeline as HTTP.

Strawberry's own handler would run operations past the pipeline, keep one context for a whole socket, and close the
socket on a syntax error. Close codes are the protocol's; besides: 1012 after an hour, when the server stops or when
what the caller may do has changed, and 1013 for a caller who must wait, upon both of which clients reconnect, 1009
for a message that is too large. 4403 also ends a socket whose token has ended or was called back.
"""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial

import orjson
from starlette.types import Receive, Scope, Send
from strawberry.http.websocket_origin import is_same_origin, normalize_allowed_origins, normalize_origin

from backend.errors import BadUserInput, RateLimited
from backend.transport.gate import Caller, Ending
from backend.transport.incoming import Headers, admit
from backend.transport.payload import check_values, read_json, read_payload
from backend.transport.pipeline import Pipeline, request_id

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 5
LIFE_SECONDS = 3600
PING_SECONDS = 20
SEND_SECONDS = 20  # a client that reads nothing for so long is dropped; until then one event an operation waits for it
MAX_OPERATIONS = 10
MAX_MESSAGE = 64 * 1024


class GraphQLOverWebSocket:
    """`allowed_origins`: pages that may connect, besides those of this host. Apps send no `Origin`, and may."""

    def __init__(self, pipeline: Pipeline, allowed_origins: Iterable[str] = ()) -> None:
        self._pipeline = pipeline
        self._origins = normalize_allowed_origins(tuple(allowed_origins))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope)
        await receive()  # websocket.connect
        if not self._origin_fits(headers):
            await send({"type": "websocket.close", "code": 1008})  # before accept: the handshake is answered with 403
        elif PROTOCOL in scope["subprotocols"]:
            await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            socket = _Socket(self._pipeline, headers, receive, send)
            async with socket.held:
                await socket.run()
        else:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 4406, "reason": "Subprotocol not acceptable"})

    def _origin_fits(self, headers: Headers) -> bool:
        origin = headers.get(b"origin")
        if origin is None or "*" in self._origins or normalize_origin(origin) in self._origins:
            return True
        return is_same_origin(origin, headers.get(b"host"))


class _Close(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Gone(_Close):
    """The client closed; there is nobody to tell."""

    def __init__(self) -> None:
        super().__init__(1000, "")


class _Socket:
    def __init__(self, pipeline: Pipeline, headers: Headers, receive: Receive, send: Send) -> None:
        self._pipeline = pipeline
        self._headers = headers
        self._receive = receive
        self._send = send
        self._caller: Caller | None = None
        self.held = AsyncExitStack()
        self._heard = True
        self._tasks = asyncio.TaskGroup()
        self._operations: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """However it ends, operations end first: their generators are closed when this returns."""
        end: _Close = _Gone()
        try:
            async with self._pipeline.life(None, INIT_SECONDS) as self._life, self._tasks:
                self._tasks.create_task(self._ping())
                await self._read()
        except* _Close as closing:
            end = next(each for each in closing.exceptions if isinstance(each, _Close))
        except* TimeoutError:
            end = self._expired()
        if not isinstance(end, _Gone):
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(1):
                    await self._send({"type": "websocket.close", "code": end.code, "reason": end.reason})

    def _expired(self) -> _Close:
        if self._caller is None:
            return _Close(4408, "Connection initialisation timeout")
        # Not by what the clock says now: a timer may be a moment early.
        ending = self._life.ending or (Ending.FORBIDDEN if self._life.with_token else Ending.RECONNECT)
        return _Close(4403, "Forbidden") if ending is Ending.FORBIDDEN else _Close(1012, "Reconnect")

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                raise _Gone
            self._heard = True
            text = message.get("text")
            if not text:
                raise _Close(4400, "Messages are JSON in text frames")
            if len(text.encode()) > MAX_MESSAGE:
                raise _Close(1009, "Message too large")
            try:
                frame = read_json(text)
                check_values(frame)
            except BadUserInput:
                raise _Close(4400, "Messages are JSON in text frames") from None
            await self._handle(frame)

    async def _handle(self, frame: object) -> None:
        match frame:
            case {"type": "connection_init", **rest}:
                await self._init(rest.get("payload"))
            case {"type": "subscribe", "id": str(id), "payload": dict(payload)} if id:
                await self._subscribe(id, payload)
            case {"type": "complete", "id": str(id)}:
                if task := self._operations.pop(id, None):
                    task.cancel()
            case {"type": "ping"}:
                await self._write(b'{"type":"pong"}')
            case {"type": "pong"}:
                pass
            case _:
                raise _Close(4400, "Unknown message")

    async def _init(self, payload: object) -> None:
        if self._caller is not None:
            raise _Close(4429, "Too many initialisation requests")
        given = payload if isinstance(payload, dict) else {}
        # In any letters, as a header's name: who signs in is not to be taken for nobody.
        said = [value for name, value in given.items() if name.lower() == "authorization" and value is not None]
        municipality = given.get("municipality")
        if not isinstance(payload, dict | None) or not all(isinstance(v, str | None) for v in (*said, municipality)):
            raise _Close(4400, "Invalid connection_init payload")
        try:
            caller = await admit(self._pipeline.gate, self._headers, municipality=municipality, authorization=said)
            await self.held.enter_async_context(self._pipeline.gate.hold(caller, "socket"))
        except Exception as error:
            failure = self._pipeline.errors.refused(error, request_id=request_id(None))
            again = failure.status >= 429
            raise (_Close(1013, "Try again later") if again else _Close(4403, "Forbidden")) from None
        self._caller = caller
        self._pipeline.belong(self._life, caller, LIFE_SECONDS)
        await self._write(b'{"type":"connection_ack"}')

    async def _subscribe(self, id: str, payload: dict[str, object]) -> None:
        if self._caller is None:
            raise _Close(4401, "Unauthorized")
        if id in self._operations:
            raise _Close(4409, "Subscriber for this id already exists")
        if len(self._operations) >= MAX_OPERATIONS:
            failure = self._pipeline.errors.refused(RateLimited(1), request_id=request_id(None))
            await self._write(_frame(b"error", id, orjson.dumps(failure.errors)))
        else:
            self._operations[id] = self._tasks.create_task(self._run(id, payload, self._caller))

    async def _run(self, id: str, payload: dict[str, object], caller: Caller) -> None:
        name, request = request_id(None), None
        try:
            request = await self._pipeline.accept(caller, partial(read_payload, payload), name)
            async with aclosing(await self._pipeline.open(request)) as answers:
                async for answer in answers:
                    await self._write(_frame(b"next", id, answer.body))
            last = _frame(b"complete", id)
        except _Close:
            raise
        except Exception as error:
            operation = request.operation.name if request else None
            failure = self._pipeline.errors.refused(error, request_id=name, operation=operation)
            last = _frame(b"error", id, orjson.dumps(failure.errors))
        del self._operations[id]  # first, since the client may use the id again as soon as it reads this
        await self._write(last)

    async def _ping(self) -> None:
        """Finds out who is gone without saying so."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            if not self._heard:
                raise _Close(1001, "No answer to a ping")
            self._heard = False
            await self._write(b'{"type":"ping"}')

    async def _write(self, frame: bytes) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send({"type": "websocket.send", "text": frame.decode()})
        except TimeoutError:
            raise _Close(1013, "Reading too slowly") from None
        except OSError:
            raise _Gone from None


def _frame(kind: bytes, id: str, payload: bytes | None = None) -> bytes:
    head = b'{"type":"' + kind + b'","id":' + orjson.dumps(id)
    return head + (b',"payload":' + payload if payload else b"") + b"}"
