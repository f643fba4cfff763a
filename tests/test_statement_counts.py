"""Every list of the schema costs the same number of SQL statements, whatever its length and however many there are."""

from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx2
import orjson
import pytest
from asyncpg.connection import LoggedQuery
from graphql import GraphQLField, GraphQLNamedType, get_named_type, is_abstract_type, is_leaf_type, is_object_type
from starlette.applications import Starlette

from backend import catalogues
from backend.app import create_app
from backend.commands import mint_tokens
from backend.db import municipalities, pool
from backend.db.audit import record
from backend.demo.load import SLUG
from backend.ids import global_id
from backend.realtime.kept import KeptReads
from backend.settings import Settings
from tests.conftest import OTHER
from tests.crowd import CROWD, Crowd, gather_crowd
from tests.schema_walk import (
    SCHEMA,
    enum_variants,
    is_connection,
    is_list_field,
    node_types,
    object_types,
    reach,
    root_fields,
    rows_of,
    selection,
)
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

# Always as long, or there already with the row they are of, so there is nothing to compare.
FIXED = {"Idea.votesByStrength", "Municipality.loginProviders", "StaffMember.roles"}
# Arguments without which a list can't be asked for; a new one fails the test by KeyError.
NEEDED = {"similarIdeas": 'text: "Penkki puistoon"', "nodes": ""}
# asyncpg's own: what it asks about types, and how a connection is cleaned on its way back to the pool.
NOT_OURS = ("pg_catalog", "'jit'")

counted: ContextVar[list[str] | None] = ContextVar("counted", default=None)


def note(query: LoggedQuery) -> None:
    """The work of a request runs in its context; what the process does besides doesn't."""
    seen = counted.get()
    if seen is not None and not any(mark in query.query for mark in NOT_OURS):
        seen.append(query.query)


@pytest.fixture
async def app(settings: Settings, conn: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Starlette]:
    prepare = pool.prepare_connection
    monkeypatch.setattr(KeptReads, "_found", lambda self, key: None)  # what is kept costs nothing, and hides the cost

    async def prepare_counted(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await prepare(connection)
        connection.add_query_logger(note)

    monkeypatch.setattr(pool, "prepare_connection", prepare_counted)
    monkeypatch.setattr(catalogues, "FRESH_SECONDS", 3600.0)  # else one statement more, once a second
    # Without Redis every board comes out of PostgreSQL, each time: what a list costs at most.
    application = create_app(settings.model_copy(update={"redis_url": "unix:///nonexistent/valkey.sock"}))
    async with application.router.lifespan_context(application):
        yield application


@dataclass
class Counter:
    client: httpx2.AsyncClient
    app: Starlette
    crowd: Crowd
    tokens: dict[str, str]

    async def ask(self, query: str, who: str) -> tuple[int, Any]:  # Any: JSON
        """Statements and data."""
        seen: list[str] = []
        reset = counted.set(seen)
        try:
            answer = await self.client.post(
                "/graphql", json={"query": query}, headers={"authorization": f"Bearer {self.tokens[who]}"}
            )
        finally:
            counted.reset(reset)
        assert "errors" not in answer.json(), f"{query}\n{answer.text}"
        return len(seen), answer.json()["data"]


@pytest.fixture
async def counter(
    app: Starlette, settings: Settings, conn: "asyncpg.Connection[asyncpg.Record]"
) -> AsyncIterator[Counter]:
    slugs = await municipalities.slugs(conn)
    crowd = await gather_crowd(conn, slugs[SLUG])
    await conn.execute("UPDATE municipalities SET locales = '{fi,sv}' WHERE slug = $1", SLUG)

    async def token(slug: str, resident: str = "") -> str:
        asked = {"role": "OFFICIAL", "strength": "EMAIL", "count": 1, "department": "", "ttl": 3600}
        [made] = await mint_tokens(settings, slug=slug, resident=resident, **asked)  # type: ignore[arg-type] # of two types
        return made

    tokens = {
        "few": await token(SLUG, global_id("Resident", crowd.few_caller)),
        "many": await token(SLUG, global_id("Resident", crowd.many_caller)),
        "elsewhere": await token(OTHER),
    }
    # The newest entry, in a page of one, has an actor, as most of a long page have: those of commands have none.
    caller = crowd.many_caller
    await record(conn, municipality_id=slugs[SLUG], actor_id=caller, act="DONE", subject_id=caller)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://heitto.test") as client:
        made = Counter(client, app, crowd, tokens)
        for who in tokens:
            await made.ask("{ municipality { id } }", who)  # which is read once and then known
        yield made


def list_fields() -> Iterator[tuple[str, str, GraphQLField]]:
    """Every list that a query leads to. Pages' own `edges` and `nodes` come with their connections."""
    payloads = {get_named_type(field.type).name for field in root_fields("mutation").values()}
    for type_ in object_types():
        if type_.name in {"Mutation", "Subscription", "UserError", *payloads} or type_.name.endswith("Connection"):
            continue
        for name, field in type_.fields.items():
            if is_list_field(field) and f"{type_.name}.{name}" not in FIXED:
                yield type_.name, name, field


def two_each(type_name: str, name: str, field: GraphQLField) -> str:
    return "(first: 2)" if "first" in field.args else ""


def selections(row: GraphQLNamedType) -> Iterator[str]:
    """What to ask of each row: its own fields alone, then with one thing below each."""
    if is_leaf_type(row):
        yield ""
        return
    for type_ in SCHEMA.get_possible_types(row) if is_abstract_type(row) else [row]:
        assert is_object_type(type_)
        leaves = selection(type_, 0, two_each)[1:-1]
        yield f"{{ ... on {type_.name} {{ {leaves} }} }}"
        for name, field in type_.fields.items():
            below = get_named_type(field.type)
            if not is_leaf_type(below):
                inner = selection(below, 1 if is_connection(field) else 0, two_each)
                yield f"{{ ... on {type_.name} {{ {leaves} {name}{two_each(type_.name, name, field)} {inner} }} }}"


def asked(name: str, field: GraphQLField, size: int, variant: str) -> str:
    """The field with its arguments, e.g. `ideas(first: 20 orderBy: OLDEST)`."""
    given = [variant] if variant else []
    if any(argument not in {"first", "ids"} for argument in field.args) and name in NEEDED:
        given.append(NEEDED[name])
    if "first" in field.args:
        given.append(f"first: {size}")
    return f"{name}({' '.join(given)})" if given else name


def wrapped(type_name: str, name: str, field: GraphQLField, rows: str) -> list[str]:
    """How the rows of a list are selected: of a connection both ways."""
    if not is_connection(field):
        return [rows]
    connection = get_named_type(field.type)
    assert is_object_type(connection)
    own = selection(get_named_type(connection.fields["edges"].type), 0, two_each)[1:-1]
    info = "pageInfo { hasNextPage endCursor }"
    return [f"{{ nodes {rows} }}", f"{{ edges {{ {own} node {rows} }} {info} }}"]


def length(data: Any, path: list[str]) -> int:  # Any: JSON
    """How many rows lie at the end of a path, over all lists on the way."""
    if data is None:
        return 0
    if isinstance(data, list):
        return sum(length(each, path) for each in data) if path else len(data)
    return length(data[path[0]], path[1:]) if path else 1


async def measured(counter: Counter, type_name: str, name: str, field: GraphQLField, rows: str, variant: str) -> str:
    """What is wrong with a list, or ''."""
    found: dict[str, tuple[int, int]] = {}
    for having, crowd in (("few", counter.crowd.few), ("many", counter.crowd.many)):
        for parents in (1, CROWD):
            if type_name not in {"Query", "Viewer"}:
                assert type_name in crowd, f"{type_name}.{name}: give tests/crowd.py {CROWD} {type_name}s"
            ids = crowd.get(type_name, ["the caller"])[:parents]
            if len(ids) < parents:
                continue
            sizes = (1, CROWD) if "first" in field.args and (having, parents) != ("few", CROWD) else (CROWD,)
            for size in sizes:
                inner = f"{asked(name, field, size, variant)} {rows}"
                who = having if type_name == "Viewer" else "many"
                if type_name == "Municipality" and having == "few":
                    who, inner = "elsewhere", f"municipality {{ {inner} }}"
                elif type_name == "Municipality":
                    inner = f"municipality {{ {inner} }}"
                else:
                    inner = reach(type_name, orjson.dumps(ids).decode(), inner)
                query = f"{{ {inner} }}"
                count, data = await counter.ask(query, who)
                root = [] if type_name == "Query" else [next(iter(data))]
                below = [] if not is_connection(field) else ["nodes"] if "{ nodes" in rows[:8] else ["edges"]
                found[f"{having}, {parents} parents, {size} rows each"] = (
                    count,
                    length(data, [*root, name, *below]),
                )
    counts, lengths = {count for count, _ in found.values()}, {rows for _, rows in found.values()}
    place = f"{type_name}.{name} {variant} {rows}"
    if len(counts) > 1:
        return f"{place}: (statements, rows) {found}"
    if 0 in lengths or len(lengths) == 1:
        return f"{place}: give tests/crowd.py rows of it, one and many: {found}"
    return ""


async def test_every_list_costs_the_same_for_one_and_for_twenty(counter: Counter) -> None:
    wrong, lists = [], 0
    for type_name, name, field in list_fields():
        if (type_name, name) == ("Query", "nodes"):
            continue
        lists += 1
        for rows in selections(rows_of(type_name, name, field)):
            ways = wrapped(type_name, name, field, rows)
            wrong += [await measured(counter, type_name, name, field, way, "") for way in ways]
        plain = next(iter(selections(rows_of(type_name, name, field))))
        for variant in enum_variants(field):
            way = wrapped(type_name, name, field, plain)[0]
            wrong.append(await measured(counter, type_name, name, field, way, variant))
    assert [each for each in wrong if each] == []
    assert lists >= 18


async def test_nodes_cost_the_same_for_one_and_for_twenty(counter: Counter) -> None:
    wrong = []
    for type_ in node_types():
        assert type_.name in counter.crowd.many, f"give tests/crowd.py {CROWD} {type_.name}s"
        for rows in selections(type_):
            found = {}
            for size in (1, CROWD):
                ids = counter.crowd.many[type_.name][:size]
                query = f"{{ nodes(ids: {orjson.dumps(ids).decode()}) {rows} }}"
                count, data = await counter.ask(query, "many")
                assert None not in data["nodes"], query
                found[len(ids)] = count
            if len(set(found.values())) > 1:
                wrong.append(f"{type_.name} {rows}: {found}")
    assert wrong == []


async def test_lists_of_subscriptions_cost_the_same_for_one_and_for_twenty(counter: Counter) -> None:
    for name, field in root_fields("subscription").items():
        if not is_list_field(field):
            continue
        for rows in selections(rows_of("Subscription", name, field)):
            found = {}
            for size in (1, CROWD):
                document = f"subscription {{ {name}(first: {size}) {rows} }}"
                seen: list[str] = []
                reset = counted.set(seen)
                headers = {"content-type": "application/json", "authorization": f"Bearer {counter.tokens['many']}"}
                async with Wire(counter.app, "http", "/graphql/stream", headers, method="POST") as wire:
                    wire.put({"type": "http.request", "body": orjson.dumps({"query": document})})
                    assert (await wire.take())["status"] == 200
                    event = (await wire.take())["body"].removeprefix(b"event: next\ndata: ")
                counted.reset(reset)
                found[len(orjson.loads(event)["data"][name])] = len(seen)
            assert found.keys() == {1, CROWD}
            assert len(set(found.values())) == 1, f"{name} {rows}: {found}"
