"""`POST` and `GET /graphql`, after the GraphQL over HTTP draft, as a bare ASGI application."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache, partial

from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from backend.errors import BadUserInput
from backend.transport.answers import Answer, InvalidDocument, MethodNotAllowed
from backend.transport.gate import Caller
from backend.transport.incoming import (
    JSON,
    Door,
    Doors,
    Headers,
    admit,
    check_content,
    negotiate,
    read_body,
    read_query_string,
)
from backend.transport.payload import read_body_payload
from backend.transport.pipeline import Pipeline, Request, request_id

GRAPHQL_JSON = "application/graphql-response+json"
HTML = "text/html"
ALLOW = "GET, HEAD, POST, OPTIONS"
VARY = b"Accept, Accept-Encoding, Accept-Language, Authorization, Heitto-Municipality"

# May be kept by anyone, and given out after asking us whether it still holds (304): what changed is to show within a
# second, a kept answer may have used that up, and the shortest `max-age` is another one.
PUBLIC = b"public, no-cache"
PRIVATE = (b"cache-control", b"private, no-store")
POST_OFFERS = (JSON, GRAPHQL_JSON)

RawHeaders = list[tuple[bytes, bytes]]


class GraphQLOverHTTP:
    def __init__(
        self, pipeline: Pipeline, graphiql: Callable[[HTTPRequest], Response | Awaitable[Response]] | None = None
    ) -> None:
        self._pipeline = pipeline
        self._graphiql = graphiql
        self._doors = Doors(pipeline.gate)
        self._offers = (JSON, GRAPHQL_JSON, HTML) if graphiql else (JSON, GRAPHQL_JSON)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, method = Headers(scope), scope["method"]
        name, media, request, public = request_id(headers.get(b"x-request-id")), JSON, None, False
        try:
            if method == "OPTIONS":
                await send_answer(send, Answer(b"", 204, allow=ALLOW), media=JSON, request_id=name)
                return
            if method not in ("GET", "HEAD", "POST"):
                raise MethodNotAllowed("Use POST, or GET for queries.", ALLOW)
            known = self._doors.get(headers) if method == "POST" else None
            media = known.media if known else negotiate(headers, self._offers if method != "POST" else POST_OFFERS)
            if media == HTML and self._graphiql:
                page = self._graphiql(HTTPRequest(scope, receive))
                await (page if isinstance(page, Response) else await page)(scope, receive, send)
                return
            # The caller comes before the payload: a token of another municipality is refused whatever is asked.
            caller, body = await self._enter(headers, scope, receive, known, media)
            text = (method == "POST", body)
            recalled = await self._pipeline.recall(caller, text)
            public = recalled is not None
            if recalled is None:
                read = partial(read_body_payload, body) if method == "POST" else partial(read_query_string, scope)
                request = await self._pipeline.accept(caller, read, name)
                check_kind(request, method)
                recalled = await self._pipeline.answer(request)
                self._pipeline.remember(request, text, len(body))
                public = request.public
            answer = recalled
        except Exception as error:
            operation = request.operation.name if request else None
            answer = self._pipeline.errors.refused(error, request_id=name, operation=operation).answer()
            if isinstance(error, InvalidDocument) and media == JSON and JSON in (headers.get(b"accept") or ""):
                answer = replace(answer, status=200)  # as graphql-http's audit wants it of this type, asked for by name
        if answer.has_errors and answer.status == 200 and media == GRAPHQL_JSON:
            answer = replace(answer, status=294)  # partial success, as the draft of August 2026 recommends
        more: RawHeaders = []
        if method != "POST" and answer.status == 200 and not answer.has_errors:
            tag = answer.etag
            more = [(b"etag", tag.encode()), (b"cache-control", PUBLIC if public else cache_control(request))]
            if matches(headers.get(b"if-none-match"), tag):
                answer = Answer(b"", 304)
        await send_answer(send, answer, media=media, request_id=name, more=more, with_body=method != "HEAD")

    async def _enter(
        self, headers: Headers, scope: Scope, receive: Receive, known: Door | None, media: str
    ) -> tuple[Caller, bytes]:
        """Who calls, and what was sent."""
        if known:
            return known.caller, await read_body(headers, receive)
        if scope["method"] != "POST":
            return await admit(self._pipeline.gate, headers), scope["query_string"]
        check_content(headers)
        body = await read_body(headers, receive)
        caller = await admit(self._pipeline.gate, headers)
        self._doors.put(headers, Door(caller, media))
        return caller, body


async def send_answer(
    send: Send,
    answer: Answer,
    *,
    media: str,
    request_id: str,
    more: RawHeaders | None = None,
    with_body: bool = True,
) -> None:
    head = response_headers(media, request_id)
    if more:
        head += more
    else:
        head.append(PRIVATE)
    if answer.retry_after:
        head.append((b"retry-after", str(answer.retry_after).encode()))
    if answer.allow:
        head.append((b"allow", answer.allow.encode()))
    if answer.status in (408, 413):  # the rest of the body is not read
        head.append((b"connection", b"close"))
    if answer.status not in (204, 304):
        head.append((b"content-length", b"%d" % len(answer.body)))
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": head}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})


def response_headers(media: str, request_id: str) -> RawHeaders:
    return [*_same_for(media), (b"x-request-id", request_id.encode())]


@cache
def _same_for(media: str) -> RawHeaders:
    return [
        (b"content-type", f"{media}; charset=utf-8".encode()),
        (b"vary", VARY),
        (b"x-content-type-options", b"nosniff"),
    ]


def cache_control(request: Request | None) -> bytes:
    """Of what is not the same for everyone: at most revalidated by its own client."""
    personal = request is None or request.caller.signed_in or request.operation.measure.viewer_dependent
    return b"private, no-store" if personal else b"private, no-cache"


def matches(if_none_match: str | None, tag: str) -> bool:
    if not if_none_match:
        return False
    return if_none_match.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in if_none_match.split(","))


def check_kind(request: Request, method: str) -> None:
    kind = request.operation.kind
    if method != "POST" and kind != "query":
        raise MethodNotAllowed("GET is for queries; use POST.", "POST")
    if kind == "subscription":
        raise BadUserInput("Subscriptions are served at /graphql/stream and over WebSocket.")
