"""Kept public answers: what changed shows within a second, in every process; the rest is served without being made."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx2
import orjson
import pytest
from graphql import GraphQLNamedType, get_named_type, is_abstract_type, is_interface_type, is_leaf_type, is_object_type
from starlette.applications import Starlette

from backend.app import create_app
from backend.ids import global_id, parse_id
from backend.metrics import PUBLIC_ANSWERS
from backend.public import ASKED_ONCE, SHARED, VIEWERS
from backend.settings import Settings
from backend.transport.finished import FinishedAnswers
from tests.conftest import Api
from tests.schema_walk import SCHEMA, enum_variants, is_connection, node_types, object_types, root_fields, rows_of
from tests.test_secrecy import ARGUMENTS, Setting

pytestmark = pytest.mark.anyio

PROMISED_SECONDS = 1.0
PAGE_INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
BOARD = "{ leaderboard(first: %d%s) { nodes { rank score idea { id title voteCount } } pageInfo { hasNextPage } } }"


def counted() -> dict[str, int]:
    return {how: int(PUBLIC_ANSWERS.labels(how)._value.get()) for how in ("process", "redis", "made", "dropped")}


@dataclass
class House:
    """Two processes on one database and one Redis, and one that keeps nothing and asks PostgreSQL alone."""

    api: Api
    second: httpx2.AsyncClient
    reference: httpx2.AsyncClient

    async def bodies(self, client: httpx2.AsyncClient, asked: list[str]) -> list[bytes]:
        turn = asyncio.Semaphore(8)  # no more than the pool takes at once

        async def ask(query: str) -> httpx2.Response:
            async with turn:
                answer = await client.post("/graphql", json={"query": query})
                if b"UNAVAILABLE" in answer.content:  # too much is going on; once more, as a client would
                    answer = await client.post("/graphql", json={"query": query})
                return answer

        answers = await asyncio.gather(*map(ask, asked))
        assert [answer.text for answer in answers if "errors" in answer.json()] == []
        return [answer.content for answer in answers]

    async def made(self, asked: list[str], client: httpx2.AsyncClient | None = None) -> list[str]:
        """Those of the queries that were made anew."""
        found = []
        for query in asked:
            before = counted()["made"]
            await self.bodies(client or self.api.client, [query])
            if counted()["made"] > before:
                found.append(query)
        return found


@pytest.fixture
async def house(api: Api, settings: Settings) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        second, reference = create_app(settings), create_app(without_redis(settings))
        clients = [await stack.enter_async_context(served(app)) for app in (second, reference)]
        reference.state.pipeline.finished = FinishedAnswers()
        yield House(api, clients[0], clients[1])


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://heitto.test", timeout=30) as client:
            yield client


def without_redis(settings: Settings) -> Settings:
    return settings.model_copy(update={"redis_url": "unix:///nonexistent/valkey.sock"})


class Town(Setting):
    """With what a change can happen to."""

    async def prepare(self) -> None:
        await self.make()
        api = self.api
        self.voter = await api.token()
        catalogue = api.catalogue
        self.districts = list(catalogue.districts)
        self.themes = list(catalogue.themes)
        self.newest = await api.idea(token=self.tokens["author"], districtId=global_id("District", self.districts[0]))
        self.ids["Idea"] += [await api.idea(token=self.tokens["author"]), self.newest]
        asked = {"displayName": "Soutajat", "kind": "INFORMAL", "idempotencyKey": str(uuid4())}
        made = await api.mutate("createGroup", asked, "group { id }", token=self.tokens["author"])
        self.group = made["group"]["id"]
        self.ids["Group"].append(self.group)

    async def done(self, name: str, input: dict[str, object], who: str = "author") -> None:
        payload = await self.api.mutate(name, input, "__typename", token=self.tokens.get(who, who))
        assert payload["errors"] == []

    async def sql(self, statement: str, *values: object) -> None:
        await self.api.conn.execute(statement, *values)

    def changes(self) -> dict[str, Callable[[], Awaitable[object]]]:
        idea = self.newest

        def key() -> dict[str, str]:
            return {"idempotencyKey": str(uuid4())}

        response = {"ideaId": idea, "body": "Näin on."}
        return {
            "edit": lambda: self.done("editIdea", {"ideaId": idea, "title": "Penkki rantaan"}),
            "vote": lambda: self.done("setVote", {"ideaId": idea, "voted": True}, self.voter),
            "vote taken back": lambda: self.done("setVote", {"ideaId": idea, "voted": False}, self.voter),
            "move": lambda: self.done(
                "editIdea",
                {
                    "ideaId": idea,
                    "districtId": global_id("District", self.districts[1]),
                    "themeId": global_id("Theme", self.themes[1]),
                },
            ),
            "hide": lambda: self.done("hideIdea", {"ideaId": idea, "reason": "Mainos."}, "MODERATOR"),
            "show": lambda: self.done("showIdea", {"ideaId": idea, "reason": "Ei ollut."}, "MODERATOR"),
            "response": lambda: self.done("respondToIdea", {**response, **key(), "kind": "RECEIPT"}, "COORDINATOR"),
            "transfer": lambda: self.done(
                "respondToIdea",
                {
                    **response,
                    **key(),
                    "kind": "TRANSFER",
                    "toDepartmentId": global_id("Department", list(self.api.catalogue.departments)[-1]),
                },
                "COORDINATOR",
            ),
            "decision": lambda: self.done(
                "respondToIdea",
                {**response, **key(), "kind": "DECISION", "reasons": "Rahaa on.", "newStatus": "PLANNED"},
                "COORDINATOR",
            ),
            "new idea": lambda: self.api.idea(token=self.tokens["author"]),
            "new idea of a group": lambda: self.api.idea(token=self.tokens["author"], groupId=self.group),
            "withdrawal": lambda: self.done("withdrawIdea", {"ideaId": self.ids["Idea"][-2]}),
            "new group": lambda: self.done("createGroup", {"displayName": "Kulkijat", "kind": "INFORMAL", **key()}),
            "join": lambda: self.done("joinGroup", {"groupId": self.group}, "contact"),
            "leave": lambda: self.done("leaveGroup", {"groupId": self.group}, "contact"),
            "group's name": lambda: self.sql("UPDATE groups SET display_name = display_name || '!'"),
            "resident's name": lambda: self.sql("UPDATE residents SET display_name = display_name || '!'"),
            "co-owner": lambda: self.sql(
                "INSERT INTO idea_groups (municipality_id, idea_id, group_id, position) VALUES ($1, $2, $3, 9)",
                self.api.catalogue.id,
                parse_id(self.ideas[0])[1],
                parse_id(self.group)[1],
            ),
            "official": lambda: self.sql("UPDATE officials SET name = name || ' Oy', phone = '050'"),
            "theme": lambda: self.sql("""UPDATE themes SET names = '{"fi": "Uusi"}' WHERE position = 1"""),
            "municipality": lambda: self.sql("UPDATE municipalities SET population = population + 1"),
            "merge": lambda: self.sql(
                "UPDATE ideas SET status = 'MERGED', merged_into_id = $2 WHERE id = $1",
                parse_id(self.ideas[1])[1],
                parse_id(self.ideas[0])[1],
            ),
            "recount": lambda: self.sql("UPDATE idea_tallies SET changed_xid = pg_current_xact_id()::text::bigint"),
            "due": lambda: self.sql(
                "UPDATE ideas SET reaction_due_at = now() - interval '1 hour', first_response_at = null"
            ),
            "erasure": lambda: self.sql("UPDATE ideas SET author_id = NULL"),
        }


def public(api: Api, asked: list[str]) -> list[str]:
    prepare = api.app.state.pipeline.operations.prepare
    return [query for query in asked if prepare(query).operation(None).public]


async def test_every_field_is_the_same_for_everyone_or_is_not() -> None:
    """A new one has to be thought about: default deny."""
    payloads = {get_named_type(field.type).name for field in root_fields("mutation").values()}
    left_out = {"Mutation", "Subscription", "UserError", *payloads}
    interfaces = [type_ for type_ in SCHEMA.type_map.values() if is_interface_type(type_)]
    there = {(type_.name, name) for type_ in object_types() for name in type_.fields if type_.name not in left_out}
    there |= {(type_.name, name) for type_ in interfaces for name in type_.fields}
    assert there == SHARED | ASKED_ONCE | VIEWERS
    assert len(there) == len(SHARED) + len(ASKED_ONCE) + len(VIEWERS)
    assert {f"{owner}.{name}" for owner, name in SHARED if "viewer" in name.lower()} == set()


async def test_whatever_changes_every_public_query_shows_it_within_a_second_in_every_process(house: House) -> None:
    api = house.api
    town = Town(api)
    await town.prepare()
    await api.boards_settled()
    asked = [*shared_queries(town.ids), *more_queries(town)]
    assert public(api, asked) == asked
    assert len(asked) > 120
    for client in (api.client, house.second):
        await house.bodies(client, asked)
    await asyncio.sleep(PROMISED_SECONDS)
    wrong, told = [], []
    for name, change in town.changes().items():
        before = await house.bodies(api.client, asked)
        assert await house.bodies(house.second, asked) == before
        await change()
        await asyncio.sleep(PROMISED_SECONDS)
        first, second = await asyncio.gather(house.bodies(api.client, asked), house.bodies(house.second, asked))
        true = await house.bodies(house.reference, asked)
        wrong += [(name, q) for q, *found in zip(asked, first, second, true, strict=True) if len(set(found)) > 1]
        told.append((name, sum(a != b for a, b in zip(before, true, strict=True))))
    assert wrong == []
    assert [name for name, count in told if not count] == ["recount"]


def leaves(type_: GraphQLNamedType) -> str:
    """Every field of a type that is a value, and the same for everyone."""
    if is_abstract_type(type_):
        return " ".join(f"... on {each.name} {{ {leaves(each)} }}" for each in SCHEMA.get_possible_types(type_))
    assert is_object_type(type_)
    names = [n for n, f in type_.fields.items() if is_leaf_type(get_named_type(f.type)) and (type_.name, n) in SHARED]
    return " ".join(["__typename", *names])


def below(type_: GraphQLNamedType) -> Iterator[str]:
    """What can be asked of a type that is the same for everyone: its values, then each thing that it leads to, with
    what that leads to in turn."""
    yield leaves(type_)
    if not is_object_type(type_):
        return
    for name, field in type_.fields.items():
        inner = get_named_type(field.type)
        if is_leaf_type(inner) or (type_.name, name) not in SHARED:
            continue
        if is_connection(field):
            rows = leaves(rows_of(type_.name, name, field))
            yield f"{name}(first: 3) {{ edges {{ cursor node {{ {rows} }} }} {PAGE_INFO} }}"
            continue
        further = [leaves(inner)]
        if is_object_type(inner):
            further += [
                f"{each} {{ {leaves(get_named_type(f.type))} }}"
                for each, f in inner.fields.items()
                if not is_leaf_type(get_named_type(f.type)) and not is_connection(f) and (inner.name, each) in SHARED
            ]
        yield f"{name} {{ {' '.join(further)} }}"


def shared_queries(ids: dict[str, list[str]]) -> Iterator[str]:
    """Every query field that is the same for everyone, with everything below it, in every order and window; and every
    node."""
    for name, field in root_fields("query").items():
        if name in {"node", "nodes"} or ("Query", name) not in SHARED:
            continue
        needed = ARGUMENTS[name].replace("{theme}", ids["Theme"][0]) if name in ARGUMENTS else ""
        rows = rows_of("Query", name, field)
        for variant in ["", *enum_variants(field)]:
            given = " ".join(filter(None, [needed, variant, "first: 5" if is_connection(field) else ""]))
            for inner in below(rows) if not variant else [leaves(rows)]:
                asked = f"{name}({given})" if given else name
                wrapped = f"edges {{ cursor node {{ {inner} }} }} {PAGE_INFO}" if is_connection(field) else inner
                yield f"{{ {asked} {{ {wrapped} }} }}"
    for type_ in node_types():
        if not any(owner == type_.name for owner, _ in SHARED):
            continue
        text = orjson.dumps(ids[type_.name]).decode()
        for inner in below(type_):
            yield f"{{ nodes(ids: {text}) {{ ... on {type_.name} {{ {inner} }} }} }}"


def more_queries(town: Town) -> list[str]:
    """What the schema alone doesn't tell how to ask: scopes, filters, pages further on, and what isn't there."""
    district, theme = global_id("District", town.districts[0]), global_id("Theme", town.themes[1])
    nothing = global_id("Idea", UUID(int=7))
    scopes = [f'districtId: "{district}"', f'themeId: "{theme}"', f'groupId: "{town.group}"']
    filters = [*scopes, "status: [OPEN]", "overdue: true", "overdue: false", 'search: "penkki"', 'search: "rantaan"']
    page = "nodes { id title voteCount author { displayName } } pageInfo { hasNextPage endCursor }"
    return [
        *(
            f"{{ leaderboard(first: {n}, window: {window}, scope: {{ {scope} }}) {{ {BOARDS} }} }}"
            for n in (1, 3)
            for window in ("ALL_TIME", "DAY", "TRENDING")
            for scope in scopes
        ),
        *(
            f"{{ ideas({way}, orderBy: {order}, filter: {{ {filter} }}) {{ {page} }} }}"
            for way in ("first: 2", "last: 2")
            for order in ("NEWEST", "OLDEST", "MOST_VOTED", "TRENDING", "DUE_FIRST")
            for filter in filters
        ),
        f'{{ node(id: "{nothing}") {{ id }} nodes(ids: ["{town.newest}", "{nothing}"]) {{ id }} }}',
        '{ groups(filter: { search: "sout" }) { nodes { id memberCount } } }',
        "{ groups(filter: { kind: REGISTERED }) { nodes { id } } }",
    ]


BOARDS = "nodes { rank score previousRank idea { id status } } pageInfo { hasNextPage }"


async def test_only_what_may_have_changed_is_made_anew(house: House) -> None:
    """Votes first: a page isn't touched by those in another district, nor by those too few to get onto it."""
    api = house.api
    here, there = (global_id("District", id) for id in list(api.catalogue.districts)[:2])
    top = [await api.idea(districtId=here) for _ in range(3)]
    low, low_there = await api.idea(districtId=here), await api.idea(districtId=there)
    for token in [await api.token() for _ in range(3)]:
        for idea in top:
            await api.set_vote(idea, token=token)
    await api.boards_settled()
    await asyncio.sleep(PROMISED_SECONDS)

    def board(scope: str, window: str = "ALL_TIME", after: str = "") -> str:
        return BOARD % (2, f', window: {window}, scope: {{ districtId: "{scope}" }}{after}')

    boards = [board(here), board(here, "DAY"), board(here, "TRENDING")]
    elsewhere = board(there)
    lists = [f"{{ ideas(first: 2, orderBy: {order}) {{ nodes {{ id }} }} }}" for order in ("OLDEST", "MOST_VOTED")]
    newest = "{ ideas(first: 1) { nodes { id } } }"
    page = f'{{ node(id: "{top[0]}") {{ ... on Idea {{ voteCount }} }} }}'
    still = ["{ municipality { name } }", "{ groups(first: 5) { nodes { memberCount } } }"]
    asked = [*boards, elsewhere, *lists, newest, page, *still]
    await house.bodies(api.client, asked)
    assert await house.made(asked) == []

    async def made_after(change: Awaitable[object]) -> set[str]:
        await change
        await api.boards_settled()
        await asyncio.sleep(PROMISED_SECONDS)
        made = await house.made(asked)
        await asyncio.sleep(PROMISED_SECONDS)  # what was read off a board that lagged is made once more
        await house.bodies(api.client, asked)
        return set(made)

    token = await api.token()
    # Below the last place of every page; lists in order of age don't care for votes.
    assert await made_after(api.set_vote(low, token=token)) == set()
    assert await made_after(api.set_vote(low_there, token=token)) == {elsewhere, newest}
    assert await made_after(api.set_vote(top[0], token=token)) == {*boards, *lists, page}

    async def rise() -> None:
        for token in [await api.token() for _ in range(4)]:
            await api.set_vote(low, token=token)

    assert await made_after(rise()) == {*boards, lists[1]}
    mine = await api.token()
    idea = await api.idea(token=mine, districtId=here)
    await made_after(asyncio.sleep(0))
    edited = {"ideaId": idea, "title": "Toinen"}
    assert await made_after(api.mutate("editIdea", edited, "__typename", token=mine)) == {newest}
    group = {"displayName": "Soutajat", "kind": "INFORMAL", "idempotencyKey": str(uuid4())}
    assert await made_after(api.mutate("createGroup", group, "group { id }", token=token)) == {still[1]}
