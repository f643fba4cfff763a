"""Reads made up from Heitto's own schema, with the demo's ids and cursors, say the same through both executors."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from graphql import parse, validate
from hypothesis import HealthCheck, given, settings

from backend.commands import connect, migrate_database, mint_tokens
from backend.demo.load import SLUG, load_demo
from backend.ids import global_id
from backend.settings import Settings
from tests.conftest import OTHER, Api, database, execute_sql
from tests.planned.operations import Generated, operations
from tests.planned.shadow import shadowed
from tests.planned.test_generated import TIMES
from tests.schema_walk import SCHEMA, node_types
from tests.world import add_municipality

pytestmark = pytest.mark.anyio

EXAMPLES = 250
TABLES = {"Municipality": "municipalities"}
SEARCHES = ("penkki", "puisto", "x", "")
CURSORS = {
    "Query.ideas": "ideas(first: 2) { pageInfo { endCursor } }",
    "Query.leaderboard": "leaderboard(first: 2) { pageInfo { endCursor } }",
    "Query.groups": "groups(first: 2) { pageInfo { endCursor } }",
}
# What may come of a read that is no answer.
REFUSALS = {"QUERY_TOO_COMPLEX", "BAD_USER_INPUT", "UNAUTHENTICATED", "FORBIDDEN"}


@pytest.fixture
async def database_url(servers: Any, template: str) -> AsyncIterator[str]:  # Any: of the embedded servers
    """A database with the demo's ideas in it, not only its offices."""
    del template  # only so that there is one server start
    await execute_sql(servers, "CREATE DATABASE demo_differential")
    url = database(servers, "demo_differential")
    await migrate_database(url)
    conn = await connect(url)
    await load_demo(conn, empty=False)
    await add_municipality(conn, OTHER)
    await conn.close()
    yield url
    await execute_sql(servers, "DROP DATABASE demo_differential WITH (FORCE)")


class Known:
    """What stands for ids, cursors and texts in the arguments."""

    def __init__(self, ids: dict[str, list[str]], cursors: dict[str, str]) -> None:
        self._ids = ids
        self._cursors = cursors

    def __call__(self, scalar: str, place: str) -> Sequence[Any]:  # Any: JSON
        name = place.rpartition(".")[2]
        if scalar == "ID":
            asked = "Official" if name == "responsibleId" else name.removesuffix("Id").capitalize()
            found = self._ids.get(asked) or [each for ids in self._ids.values() for each in ids[:2]]
            return (*found[:4], global_id("Idea", UUID(int=1)))
        if name in ("after", "before"):
            return (self._cursors.get(place.rpartition(".")[0], ""), "nonsense")
        if scalar == "String":
            return SEARCHES
        return {"Int": (1, 2, 3), "Boolean": (True, False), "Float": (1.5,), "Locale": ("fi",)}[scalar]


async def known(api: Api) -> Known:
    ids = {}
    for type_ in node_types():
        table = TABLES.get(type_.name, f"{type_.name.lower()}s")
        rows = await api.conn.fetch(f"SELECT id FROM {table} WHERE id::text > '' ORDER BY id LIMIT 4")  # noqa: S608 # our own names
        ids[type_.name] = [global_id(type_.name, row["id"]) for row in rows]
    cursors = {}
    for place, document in CURSORS.items():
        [page] = (await api.data(f"{{ {document} }}")).values()
        cursors[place] = page["pageInfo"]["endCursor"]
    return Known(ids, cursors)


async def callers(settings: Settings, api: Api) -> dict[str, str]:
    """Tokens: of nobody, of somebody new, of the resident who voted most, and of three who work there."""
    [voter] = await api.conn.fetch(
        "SELECT resident_id FROM votes WHERE municipality_id = $1 GROUP BY 1 ORDER BY count(*) DESC LIMIT 1",
        api.catalogue.id,
    )
    asked: dict[str, Any] = {
        "role": "RESIDENT",
        "strength": "EMAIL",
        "count": 1,
        "department": "",
        "ttl": 3600,
    }  # Any: of two types
    [token] = await mint_tokens(settings, slug=SLUG, resident=global_id("Resident", voter["resident_id"]), **asked)
    return {
        "nobody": "",
        "newcomer": await api.token(),
        "resident": token,
        "official": await api.token("OFFICIAL"),
        "moderator": await api.token("MODERATOR"),
        "administrator": await api.token("ADMINISTRATOR"),
    }


def drawn(known: Known, who: Sequence[str]) -> list[tuple[Generated, str]]:
    """By hypothesis, ahead of the questions: those need the test's own loop."""
    found: list[tuple[Generated, str]] = []

    @settings(
        max_examples=EXAMPLES * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operations(SCHEMA, examples=known, levels=3))
    def draw(generated: Generated) -> None:
        found.append((generated, who[len(found) % len(who)]))

    draw()
    return found


async def test_generated_reads_have_the_same_answer(api: Api, settings: Settings) -> None:
    tokens = await callers(settings, api)
    found: Counter[str] = Counter()
    with shadowed() as shadow:
        for generated, who in drawn(await known(api), list(tokens)):
            if validate(SCHEMA, parse(generated.text)):
                found["invalid"] += 1
                continue
            payload = {
                "query": generated.text,
                "variables": generated.variables,
                "operationName": generated.name,
            }
            headers = {"authorization": f"Bearer {tokens[who]}"} if tokens[who] else {}
            answer = (await api.client.post("/graphql", json=payload, headers=headers)).json()
            codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
            assert codes <= REFUSALS, (generated, answer)
            found[who if answer.get("data") else "refused"] += 1
    assert shadow.differences == [], "\n".join(shadow.differences[:3])
    assert shadow.compared["query"] > EXAMPLES / 2, (shadow.compared, found)
    assert all(found[who] > EXAMPLES / 20 for who in tokens), found
    assert found["invalid"] <= EXAMPLES / 25, found
