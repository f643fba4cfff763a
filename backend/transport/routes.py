"""Where GraphQL is served."""

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from backend.transport.http import GraphQLOverHTTP
from backend.transport.pipeline import Pipeline
from backend.transport.socket import GraphQLOverWebSocket
from backend.transport.stream import GraphQLOverSSE


def graphql_routes(
    pipeline: Pipeline,
    *,
    allowed_origins: Iterable[str] = (),
    graphiql: Callable[[Request], Response | Awaitable[Response]] | None = None,
) -> list[BaseRoute]:
    """`graphiql` answers a GET that prefers HTML; `allowed_origins` may open sockets, besides pages of this host."""
    return [
        Route("/graphql", GraphQLOverHTTP(pipeline, graphiql)),
        WebSocketRoute("/graphql", GraphQLOverWebSocket(pipeline, allowed_origins)),
        Route("/graphql/stream", GraphQLOverSSE(pipeline)),
    ]
