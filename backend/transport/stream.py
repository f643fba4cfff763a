"""`/graphql/stream`: server-sent events after the graphql-sse protocol, distinct connections mode.

A stream lives at most ten minutes, and no longer than its token is good and means the same. It then ends without
`complete`, which clients of the protocol and EventSource take for a lost connection: they reconnect. `complete` says
that nothing more will come.

What is wrong with a document is told in a `next` event, as the protocol wants it: a client that gets a status instead
would try again. Statuses are for who is asking (401, 403, 404) and for what time may mend (429, 503).
"""

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial

from starlette.types import Receive, Scope, Send

from backend.transport.answers import Answer, MethodNotAllowed
from backend.transport.http import response_headers, send_answer
from backend.transport.incoming import (
    JSON,
    Headers,
    admit,
    check_content,
    negotiate,
    query_parameters,
    read_body,
    read_parameters,
)
from backend.transport.payload import read_body_payload
from backend.transport.pipeline import Pipeline, only, request_id

EVENT_STREAM = "text/event-stream"
LIFE_SECONDS = 600
HEARTBEAT_SECONDS = 15
SEND_SECONDS = 20  # a client that reads nothing for so long is dropped; until then one event waits for it

NOT_BUFFERED = [(b"cache-control", b"private, no-store"), (b"x-accel-buffering", b"no")]
HEARTBEAT = b":\n\n"
COMPLETE = b"event: complete\ndata:\n\n"


class GraphQLOverSSE:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope)
        async with AsyncExitStack() as held:
            await self._serve(scope, headers, receive, send, held)

    async def _serve(self, scope: Scope, headers: Headers, receive: Receive, send: Send, held: AsyncExitStack) -> None:
        name, request, caller = request_id(headers.get(b"x-request-id")), None, None
        try:
            if scope["method"] not in ("GET", "POST"):
                raise MethodNotAllowed("Use POST, or GET from an EventSource.", "GET, POST")
            negotiate(headers, (EVENT_STREAM,))
            if scope["method"] == "POST":
                check_content(headers)
                body = await read_body(headers, receive)
                caller = await admit(self._pipeline.gate, headers)
                await held.enter_async_context(self._pipeline.gate.hold(caller, "stream"))
                read = partial(read_body_payload, body)
            else:
                parameters = query_parameters(scope)
                caller = await admit(self._pipeline.gate, headers, municipality=parameters.pop("municipality", None))
                await held.enter_async_context(self._pipeline.gate.hold(caller, "stream"))
                read = partial(read_parameters, parameters)
            request = await self._pipeline.accept(caller, read, name)
            if scope["method"] == "GET" and request.operation.kind == "mutation":
                raise MethodNotAllowed("GET is for queries and subscriptions; use POST.", "POST")
            answers = await self._pipeline.open(request)
        except Exception as error:
            operation = request.operation.name if request else None
            answer = self._pipeline.errors.refused(error, request_id=name, operation=operation).answer()
            if caller is None or answer.status != 400:
                await send_answer(send, answer, media=JSON, request_id=name)
                return
            answers = only(answer)
        head = response_headers(EVENT_STREAM, name) + NOT_BUFFERED
        await send({"type": "http.response.start", "status": 200, "headers": head})
        try:
            async with aclosing(answers), self._pipeline.life(caller, LIFE_SECONDS):
                await _stream(answers, receive, send)
        except TimeoutError:
            with suppress(TimeoutError):
                await _write(send, b"", more=False)


async def _stream(answers: AsyncGenerator[Answer, None], receive: Receive, send: Send) -> None:
    """Until the last answer or until the client goes away. Raises TimeoutError when it doesn't read."""
    gone = asyncio.create_task(_disconnected(receive))
    upcoming = asyncio.create_task(_next(answers))
    try:
        while True:
            done, _ = await asyncio.wait({gone, upcoming}, timeout=HEARTBEAT_SECONDS, return_when=FIRST_COMPLETED)
            if gone in done:
                return
            if upcoming not in done:
                await _write(send, HEARTBEAT)
                continue
            answer = upcoming.result()
            if answer is None:
                await _write(send, COMPLETE, more=False)
                return
            await _write(send, b"event: next\ndata: " + answer.body + b"\n\n")
            upcoming = asyncio.create_task(_next(answers))
    finally:
        gone.cancel()
        upcoming.cancel()  # before the generator is closed: one that still runs can't be
        await asyncio.wait({gone, upcoming})


async def _next(answers: AsyncGenerator[Answer, None]) -> Answer | None:
    return await anext(answers, None)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": more})
