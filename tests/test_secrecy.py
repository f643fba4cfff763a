"""B1: who voted for what shows nowhere, to nobody else."""

from collections.abc import Iterator
from uuid import uuid4

import httpx2
import orjson
import pytest
import redis
from graphql import GraphQLField, get_named_type, is_leaf_type, is_object_type
from starlette.types import ASGIApp

from backend.app import create_app
from backend.ids import global_id
from tests.conftest import Api
from tests.schema_walk import enum_variants, is_connection, node_types, root_fields, selection
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

VIEWERS = ("", "RESIDENT", "OFFICIAL", "MODERATOR", "ADMINISTRATOR", "author", "contact")
STAFF_ONLY = ("{ staff", "{ invitations", "{ auditEntries")
# Arguments of root fields that need some. A new one fails the test, which lets no error pass.
ARGUMENTS = {"similarIdeas": 'text: "Penkki mäen päälle"', "contact": 'themeId: "{theme}"'}


def few(type_name: str, name: str, field: GraphQLField) -> str:
    return "(first: 3)" if "first" in field.args else ""


def below(field: GraphQLField) -> Iterator[str]:
    """Everything that a field leads to, in pieces that are cheap enough: each thing below its rows by itself."""
    returned = get_named_type(field.type)
    if is_connection(field):
        assert is_object_type(returned)
        edge = get_named_type(returned.fields["edges"].type)
        assert is_object_type(edge)
        own = " ".join(name for name, each in edge.fields.items() if is_leaf_type(get_named_type(each.type)))
        page = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
        for inner in below(edge.fields["node"]):
            yield f"{{ edges {{ {own} node {inner} }} {page} }}"
        return
    yield selection(returned, 0, few)
    if is_object_type(returned):
        for name, each in returned.fields.items():
            type_ = get_named_type(each.type)
            if not is_leaf_type(type_):
                levels = 3 if is_connection(each) else 1
                yield f"{{ {name}{few(returned.name, name, each)} {selection(type_, levels, few)} }}"


def queries(ids: dict[str, list[str]]) -> Iterator[str]:
    """Every query field with everything below it, in every order and window; every node that there is."""
    for name, field in root_fields("query").items():
        if name in {"node", "nodes"}:
            continue
        needed = ARGUMENTS[name].replace("{theme}", ids["Theme"][0]) if name in ARGUMENTS else ""
        for variant in ["", *enum_variants(field)]:
            given = " ".join(filter(None, [needed, variant, "first: 5" if "first" in field.args else ""]))
            for inner in below(field) if not variant else [next(below(field))]:
                yield f"{{ {name}{f'({given})' if given else ''} {inner} }}"
    for type_ in node_types():
        text = orjson.dumps(ids[type_.name]).decode()
        yield f"{{ nodes(ids: {text}) {{ ... on {type_.name} {selection(type_, 0, few)} }} }}"
        for name, field in type_.fields.items():
            if not is_leaf_type(get_named_type(field.type)):
                for inner in below(field):
                    asked = f"{name}{few(type_.name, name, field)} {inner}"
                    yield f"{{ nodes(ids: {text}) {{ ... on {type_.name} {{ {asked} }} }} }}"


class Setting:
    """Two residents and two ideas; who voted for which is all that changes. One of them threw an idea for a group."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.tokens = {"": ""}
        self.ids: dict[str, list[str]] = {}

    async def make(self) -> None:
        api, tokens = self.api, self.tokens
        first, second = [await api.token() for _ in range(2)]
        for name in (*VIEWERS[1:], "COORDINATOR"):
            tokens[name] = await api.token(name if name.isupper() else "RESIDENT")
        key = {"idempotencyKey": str(uuid4())}
        asked = {"displayName": "Penkkiväki", "kind": "INFORMAL", **key}
        group = (await api.mutate("createGroup", asked, "group { id }", token=tokens["contact"]))["group"]["id"]
        for token in (first, second):
            await api.mutate("joinGroup", {"groupId": group}, "group { id }", token=token)
        self.ideas = [await api.idea(token=tokens["author"]), await api.idea(token=first, groupId=group)]
        await api.idea(token=second)
        for token, idea in zip((first, second), self.ideas, strict=True):
            await api.set_vote(idea, token=token)
        for token in (first, second, tokens["RESIDENT"]):
            await api.mutate("setFollow", {"subjectId": self.ideas[0], "following": True}, "__typename", token=token)
        asked = {"ideaId": self.ideas[0], "kind": "RECEIPT", "body": "Luimme tämän.", **key}
        await api.mutate("respondToIdea", asked, "idea { id }", token=tokens["COORDINATOR"])
        # The same moment for both, so that nothing else differs.
        await api.conn.execute(
            "UPDATE votes SET cast_at = date_trunc('day', now()), decided_at = date_trunc('day', now())"
        )
        await api.conn.execute(
            """
            INSERT INTO notifications (municipality_id, resident_id, event_id, kind, idea_id)
            SELECT municipality_id, resident_id, gen_random_uuid(), 'STATUS_CHANGED', idea_id FROM follows
            """
        )
        for type_ in node_types():
            table = {"Municipality": "municipalities"}.get(type_.name, f"{type_.name.lower()}s")
            rows = await api.conn.fetch(f"SELECT id FROM {table} ORDER BY id LIMIT 3")  # noqa: S608 # a type's name
            self.ids[type_.name] = [global_id(type_.name, row[0]) for row in rows]

    async def swap(self) -> None:
        """The first resident's vote is the second's, and the other way round."""
        before = await self.api.conn.fetch("SELECT idea_id, resident_id FROM votes ORDER BY 1, 2")
        await self.api.conn.execute(
            """
            UPDATE votes AS v SET resident_id = other.resident_id
            FROM votes AS other WHERE other.resident_id <> v.resident_id
            """
        )
        after = await self.api.conn.fetch("SELECT idea_id, resident_id FROM votes ORDER BY 1, 2")
        assert len(before) == len(after) == 2
        assert not set(before) & set(after)


async def test_b1_swapping_two_residents_votes_changes_no_answer_to_anybody_else(api: Api) -> None:
    setting = Setting(api)
    await setting.make()
    first = await everything(setting)
    await setting.swap()
    second = await everything(setting)
    assert first.keys() == second.keys()
    assert [asked for asked in first if first[asked] != second[asked]] == []
    assert len(first) > 400


async def everything(setting: Setting) -> dict[tuple[str, str], bytes]:
    """By viewer and document every answer with its headers, but for the request's id."""
    redis.Redis.from_url(setting.api.settings.redis_url).flushall()
    app = create_app(setting.api.settings)
    found = {}
    edit = "mutation ($i: EditIdeaInput!) { editIdea(input: $i) { idea { title } errors { code message field } } }"
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://heitto.test") as client:
            for viewer in VIEWERS:
                token = setting.tokens[viewer]
                headers = {"authorization": f"Bearer {token}"} if token else {}
                for query in queries(setting.ids):
                    answer = await client.post("/graphql", json={"query": query}, headers=headers)
                    if not query.startswith(STAFF_ONLY) or viewer == "ADMINISTRATOR":
                        assert "errors" not in answer.json(), f"{query}: {answer.text}"
                    del answer.headers["x-request-id"]
                    found[viewer, query] = str(answer.headers).encode() + answer.content
                for idea in setting.ideas:
                    asked = {"query": edit, "variables": {"i": {"ideaId": idea, "title": "Toinen otsikko"}}}
                    answer = await client.post("/graphql", json=asked, headers=headers)
                    assert b'"title"' not in answer.content, "nobody may edit what others voted for"
                    found[viewer, edit + idea] = answer.content
                for document in subscriptions(setting.ideas):
                    found[viewer, document] = await first_event(app, document, headers)
    return found


def subscriptions(ideas: list[str]) -> Iterator[str]:
    for window in enum_variants(root_fields("subscription")["leaderboardChanged"]):
        yield f"subscription {{ leaderboardChanged({window}) {{ rank score previousRank idea {{ id voteCount }} }} }}"
    for idea in ideas:
        yield f'subscription {{ ideaChanged(id: "{idea}") {{ voteCount viewerVote {{ castAt }} version updatedAt }} }}'


async def first_event(app: ASGIApp, document: str, headers: dict[str, str]) -> bytes:
    headers = {**headers, "content-type": "application/json", "host": "heitto.test"}
    async with Wire(app, "http", "/graphql/stream", headers, method="POST") as wire:
        wire.put({"type": "http.request", "body": orjson.dumps({"query": document}), "more_body": False})
        await wire.take()
        event: bytes = (await wire.take())["body"]
    return event
