"""A schema with one of everything, and a gate that believes what it is told; also served by granian in some tests."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info as StrawberryInfo

from backend.errors import (
    BadUserInput,
    Forbidden,
    NoMunicipality,
    RateLimited,
    RequestError,
    Unauthenticated,
    Unavailable,
)
from backend.provenance import Sources
from backend.transport.answers import ErrorFormat
from backend.transport.finished import FinishedAnswers
from backend.transport.gate import Caller, Ending
from backend.transport.operations import Operations
from backend.transport.pipeline import Pipeline
from backend.transport.routes import graphql_routes

seen: Counter[str] = Counter()
"""What ran, for tests to look at."""


@dataclass
class Context:
    signed_in: bool
    request_id: str
    loads: int = 0


class LostConnection(Exception):
    """Stands for a driver's failure that `translate` knows."""


@strawberry.enum
class Status(Enum):
    OPEN = "open"
    DONE = "done"


@strawberry.interface
class Node:
    id: strawberry.ID


@strawberry.type
class Author(Node):
    name: str

    @classmethod
    def is_type_of(cls, obj: object, info: object) -> bool:
        return isinstance(obj, Author)


@strawberry.type
class Idea(Node):
    number: int
    title: str
    status: Status
    author_name: strawberry.Private[str]

    @classmethod
    def is_type_of(cls, obj: object, info: object) -> bool:
        return isinstance(obj, Idea)

    @strawberry.field
    async def author(self, info: StrawberryInfo[Context, None]) -> Author:
        info.context.loads += 1
        return Author(id=strawberry.ID("A1"), name=self.author_name)

    @strawberry.field
    def viewer_follows(self, info: StrawberryInfo[Context, None]) -> bool:
        return info.context.signed_in

    @strawberry.field
    def related(self) -> list["Idea"]:
        return [idea(self.number + 1)]

    @strawberry.field
    def comments(self, first: int | None = None, after: str | None = None) -> "IdeaConnection":
        return IdeaConnection(nodes=[idea(each) for each in range(1, (first or 2) + 1)])


@strawberry.type
class IdeaEdge:
    node: Idea


@strawberry.type
class IdeaConnection:
    nodes: list[Idea]

    @strawberry.field
    def edges(self) -> list[IdeaEdge]:
        return [IdeaEdge(node=each) for each in self.nodes]


def idea(number: int) -> Idea:
    return Idea(id=strawberry.ID(f"I{number}"), number=number, title="Sauna", status=Status.OPEN, author_name="Aino")


@strawberry.input(one_of=True)
class Scope:
    theme_id: strawberry.ID | None = strawberry.UNSET
    district_id: strawberry.ID | None = strawberry.UNSET


@strawberry.input
class EditInput:
    title: str
    body: str | None = strawberry.UNSET
    status: Status = Status.OPEN
    at: Annotated[datetime, strawberry.argument(description="when")] | None = None


@strawberry.type
class EditPayload:
    title: str
    body: str
    status: Status
    at: str


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"Hello, {name}!"

    @strawberry.field
    async def leaderboard(
        self, info: StrawberryInfo[Context, None], first: int | None = None, scope: Scope | None = None
    ) -> IdeaConnection | None:
        seen["leaderboard"] += 1
        await asyncio.sleep(0.01)
        return IdeaConnection(nodes=[idea(each) for each in range(1, (first or 2) + 1)])

    @strawberry.field
    def ideas(self, first: int | None = None, last: int | None = None) -> IdeaConnection | None:
        return IdeaConnection(nodes=[idea(each) for each in range(1, (first or last or 2) + 1)])

    @strawberry.field
    def nodes(self, ids: list[strawberry.ID]) -> list[Node | None]:
        return [idea(1) if each == "I1" else Author(id=each, name="Aino") for each in ids]

    @strawberry.field
    def board_or_failure(self, fail: bool) -> str | None:
        seen["board_or_failure"] += 1
        if fail:
            raise Unavailable
        return "board"

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("secret detail")

    @strawberry.field
    def strictly_broken(self) -> str:
        raise RuntimeError("secret detail")

    @strawberry.field
    def refused(self) -> str | None:
        raise BadUserInput("That cursor is not one of ours.")

    @strawberry.field
    def lost(self) -> str | None:
        raise LostConnection("postgresql://user:password@host")

    @strawberry.field
    async def slow(self) -> str | None:
        await asyncio.sleep(60)
        return "never"

    @strawberry.field
    def private(self) -> str | None:
        seen["private"] += 1
        return "for who signed in"

    @strawberry.field
    def scope(self, by: Scope) -> str:
        return "theme" if by.theme_id is not strawberry.UNSET else "district"

    @strawberry.field
    def float_back(self, value: float) -> float:
        return value


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def edit(self, input: EditInput) -> EditPayload:
        seen["edit"] += 1
        body = "absent" if input.body is strawberry.UNSET else "null" if input.body is None else input.body
        at = input.at.isoformat() if input.at else ""
        return EditPayload(title=input.title, body=body, status=input.status, at=at)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, info: StrawberryInfo[Context, None], to: int) -> AsyncGenerator[int, None]:
        for number in range(1, to + 1):
            yield number

    @strawberry.subscription
    async def idea_changed(self) -> AsyncGenerator[Idea, None]:
        yield idea(1)
        yield idea(2)

    @strawberry.subscription
    async def endless(self) -> AsyncGenerator[int, None]:
        seen["opened"] += 1
        try:
            yield 1
            await asyncio.sleep(3600)
        finally:
            seen["closed"] += 1

    @strawberry.subscription
    async def breaking(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError("secret detail")

    @strawberry.subscription
    async def private_events(self) -> AsyncGenerator[int, None]:
        seen["private_events"] += 1
        yield 1


schema = strawberry.Schema(
    Query,
    Mutation,
    Subscription,
    types=[Author],
    config=StrawberryConfig(auto_camel_case=True),
)


@dataclass(frozen=True)
class ToyCaller:
    scope: tuple[str, str]
    signed_in: bool
    expires_at: float | None


@dataclass
class ToyGate:
    """`Bearer good` is fine, `Bearer 1.5` ends in so many seconds. Contexts made are kept in `contexts`."""

    budget: int = 1_000_000
    charged: list[int] = field(default_factory=list)
    contexts: list[Context] = field(default_factory=list)
    broken: bool = False
    turned_away: Ending | None = None

    async def admit(
        self,
        *,
        authorization: Sequence[str],
        municipality: str | None,
        host: str | None,
        accept_language: str | None,
        peer: str | None,
        forwarded_for: str | None,
    ) -> ToyCaller:
        if self.broken:
            raise RuntimeError("secret detail")
        if municipality not in (None, "ilola", "other"):
            raise NoMunicipality
        scope = (municipality or "ilola", (accept_language or "fi")[:2])
        if not authorization:
            return ToyCaller(scope, False, None)
        token = authorization[0].removeprefix("Bearer ")
        if len(authorization) > 1 or not authorization[0].startswith("Bearer "):
            raise Unauthenticated
        if token == "good":
            return ToyCaller(scope, True, None)
        try:
            return ToyCaller(scope, True, time.time() + float(token))
        except ValueError:
            raise Unauthenticated from None

    def stands(self, caller: Caller) -> bool:
        return not self.broken and not caller.signed_in

    def ending(self, caller: Caller) -> Ending | None:
        return self.turned_away if caller.signed_in else None

    async def charge(self, caller: Caller, points: int) -> None:
        self.charged.append(points)
        self.budget -= points
        if self.budget < 0:
            raise RateLimited(7)

    def hold(self, caller: Caller, kind: str) -> AbstractAsyncContextManager[None]:
        del caller, kind
        return nullcontext()

    def context(self, caller: Caller, request_id: str, *, live: bool = False) -> Context:
        del live
        context = Context(caller.signed_in, request_id)
        self.contexts.append(context)
        return context


def authorize(kind: str, root_fields: Sequence[str], context: object) -> None:
    assert isinstance(context, Context)
    if {"private", "privateEvents"} & set(root_fields) and not context.signed_in:
        raise Unauthenticated
    if "forbidden" in root_fields:
        raise Forbidden("Not for you.")


def translate(error: BaseException) -> RequestError | None:
    return Unavailable() if isinstance(error, LostConnection) else None


def operations(*, introspection: bool = True) -> Operations:
    return Operations(
        schema,
        authorize=authorize,
        public_fields=frozenset({"leaderboard", "boardOrFailure"}),
        viewer_dependent=lambda type_name, field_name: field_name.startswith("viewer"),
        list_sizes={"Idea.related": 3},
        introspection=introspection,
    )


@dataclass
class ToyFeed:
    """Has all that changed told to it: `change`."""

    verified_until: float = math.inf
    asked_at: float = 0.0
    doubted_at: float = -math.inf
    sequence: int = 0
    position: int = 1
    changed_ids: dict[str, int] = field(default_factory=dict)

    async def verify(self) -> bool:
        return self.verified_until > 0

    def change(self, id: str) -> None:
        self.sequence += 1
        self.changed_ids[id] = self.sequence

    def changed(self, sources: Sources, since: int) -> bool:
        return any(self.changed_ids.get(id, 0) > since for id in sources.ids)


def pipeline(gate: ToyGate | None = None, *, introspection: bool = True) -> Pipeline:
    finished = FinishedAnswers(ToyFeed())
    return Pipeline(operations(introspection=introspection), gate or ToyGate(), ErrorFormat(translate), finished)


def graphiql(request: Request) -> Response:
    return HTMLResponse("<title>GraphiQL</title>")


async def bare(request: Request) -> Response:
    return PlainTextResponse("ok")


async def what_ran(request: Request) -> Response:
    return Response(repr(dict(seen)))


def create_app(of: Pipeline | None = None) -> Starlette:
    routes = graphql_routes(of or pipeline(), allowed_origins=["https://app.example"], graphiql=graphiql)
    return Starlette(routes=[*routes, Route("/bare", bare), Route("/seen", what_ran)])


app = create_app()
