"""Promises E1 to E4: every document over a limit is refused before it runs, whatever its shape."""

import httpx2
import pytest
from graphql import get_introspection_query

from backend.errors import QueryTooComplex, RequestError
from backend.transport.limits import check_affordable
from tests.transport import toy

operations = toy.operations()


def cost(document: str, variables: dict[str, object] | None = None, *, signed_in: bool = False) -> int:
    operation = operations.prepare(document).operation(None)
    return check_affordable(operation.measure, variables or {}, operations.limits, signed_in=signed_in)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("{ hello }", 0),
        ("{ ideas { nodes { id } } }", 21),
        ("{ ideas(first: 5) { nodes { id author { name } } } }", 11),
        ("{ ideas(first: 5) { edges { node { id } } } }", 6),
        ("{ ideas(last: 100) { nodes { id } } }", 101),
        ("{ ideas(first: 1000000) { nodes { id } } }", 101),
        ("{ ideas(first: -5) { nodes { id } } }", 1),
        ("{ ideas(first: 3, last: 3) { nodes { id } } }", 101),
        ("{ ideas(first: 2) { nodes { related { id } comments(first: 4) { nodes { id } } } } }", 1 + 2 + 6 + 2 + 8),
        ('{ nodes(ids: ["I1", "I2", "A1"]) { id } }', 3),
        ("{ __schema { types { name } } }", 1_000),
        ("{ ...A ...A } fragment A on Query { ideas(first: 5) { nodes { id } } }", 12),
        ('mutation { edit(input: { title: "x" }) { title } }', 1),
    ],
)
def test_e1_cost_counts_objects_times_the_lists_around_them(document: str, expected: int) -> None:
    assert cost(document) == expected


@pytest.mark.parametrize(
    ("variables", "expected"), [({"n": 7}, 8), ({"n": 7.0}, 8), ({}, 4), ({"n": 10**9}, 101), ({"n": "7"}, 4)]
)
def test_e1_page_sizes_in_variables_count(variables: dict[str, object], expected: int) -> None:
    assert cost("query ($n: Int = 3) { ideas(first: $n) { nodes { id } } }", variables) == expected
    assert cost("query ($n: Int = 3) { ideas(last: $n) { edges { node { id } } } }", variables) == expected


def test_e1_ids_in_variables_count() -> None:
    assert cost("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["I1"] * 30}) == 30


def test_e1_who_signed_in_may_ask_for_more() -> None:
    document = "{ ideas(first: 100) { nodes { comments(first: 25) { nodes { id } } } } }"
    with pytest.raises(QueryTooComplex, match="2701 in cost, at most 2000"):
        cost(document)
    assert cost(document, signed_in=True) == 2701


def test_e1_eleven_levels_are_for_who_signed_in() -> None:
    eleven = (
        "{ ideas { nodes { related { comments(first: 1) { edges { node"
        " { related { comments(first: 1) { edges { node { id } } } } } } } } } } }"
    )
    with pytest.raises(QueryTooComplex, match="11 levels deep, at most 10"):
        cost(eleven)
    assert cost(eleven, signed_in=True) > 0
    with pytest.raises(QueryTooComplex, match="13 levels deep, at most 12"):
        cost(eleven.replace("{ id }", "{ comments { nodes { id } } }"), signed_in=True)


def bomb(levels: int) -> str:
    doubling = "".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }} " for n in range(levels))
    return f"{{ ...F0 }} {doubling} fragment F{levels} on Query {{ hello }}"


TOO_COMPLEX = {
    "aliases": "{ " + " ".join(f"a{n}: ideas {{ nodes {{ b{n}: id }} }}" for n in range(8)) + " }",
    "aliases by fragments": "{ ideas { nodes { " + "...A " * 16 + "} } } fragment A on Idea { x: id }",
    "root fields": "{ " + "hello " * 11 + "}",
    "root mutations (e2)": "mutation { "
    + " ".join(f'm{n}: edit(input: {{title: ""}}) {{ title }}' for n in range(5))
    + " }",
    "recursion of a field": "{ ideas { nodes { related { related { related { related { id } } } } } } }",
    "tokens": "{ ideas { nodes { " + "id " * 2_000 + "} } }",
    "directives": "{ ideas " + "@skip(if: false) " * 21 + "{ nodes { id } } }",
    "unused directives": "{ hello } fragment A on Query { hello " + "@skip(if: false) " * 21 + "}",
    "fragments": "{ hello } " + " ".join(f"fragment F{n} on Query {{ hello }}" for n in range(51)),
    "operations": " ".join(f"query Q{n} {{ hello }}" for n in range(11)),
    "variables": "query (" + " ".join(f"$v{n}: Int" for n in range(51)) + ") { hello }",
    "bytes": "{ hello } #" + "x" * 40_000,
    "exponential fragments": bomb(30),
    "exponential fragments, in a small document": bomb(18),
    "overlapping leaves": "{ ideas { nodes { " + "id " * 1_900 + "} } }",
    "overlapping objects": "{ ideas { " + "nodes { id } " * 450 + "} }",
    "overlaps in an unused fragment": "{ hello } fragment A on IdeaConnection { " + "nodes { id } " * 450 + "}",
    "overlaps in a fragment named twice": "{ ideas { ...A } } fragment A on IdeaConnection { "
    + "nodes { id } " * 450
    + "} fragment A on IdeaConnection { nodes { id } }",
    "inline fragments, nested": "{ " + "... on Query { " * 100 + "hello" + " }" * 101,
    "fragments, chained": "{ ...F0 } "
    + " ".join(f"fragment F{n} on Query {{ ... on Query {{ ...F{n + 1} }} }}" for n in range(49))
    + " fragment F49 on Query { hello }",
    "cycles that spread everything": "{ ...F0 } "
    + " ".join(f"fragment F{n} on Query {{ {' '.join(f'...F{m}' for m in range(40))} }}" for n in range(40)),
    "cost": "{ ideas(first: 100) { nodes { comments(first: 100) { nodes { id } } } } }",
    "introspections": "{ " + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(5)) + " }",
}


@pytest.mark.anyio
@pytest.mark.parametrize("document", TOO_COMPLEX.values(), ids=TOO_COMPLEX.keys())
async def test_e1_a_document_over_a_limit_is_refused(document: str, client: httpx2.AsyncClient) -> None:
    answer = await client.post("/graphql", json={"query": document})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"] == {"code": "QUERY_TOO_COMPLEX"}
    assert "data" not in answer.json()
    assert not toy.seen


UNREADABLE = {
    "braces": "{" * 10_000,
    "selections": "{a" * 900 + "}" * 900,
    "lists": "{ hello(name: " + "[" * 900 + "]" * 900 + ") }",
    "objects": "{ hello(name: " + "{a:" * 600 + "1" + "}" * 600 + ") }",
    "types": "query ($a: " + "[" * 900 + "Int" + "]" * 900 + ") { hello }",
}


@pytest.mark.anyio
@pytest.mark.parametrize("document", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_e1_a_document_nested_too_deeply_to_read_is_refused(document: str, client: httpx2.AsyncClient) -> None:
    answer = await client.post("/graphql", json={"query": document})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] in ("GRAPHQL_PARSE_FAILED", "QUERY_TOO_COMPLEX")


@pytest.mark.anyio
async def test_e1_a_cycle_of_fragments_is_named_by_validation(client: httpx2.AsyncClient) -> None:
    answer = await client.post(
        "/graphql", json={"query": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"}
    )
    assert answer.json()["errors"][0]["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
    assert "Cannot spread fragment 'A' within itself" in answer.json()["errors"][0]["message"]


@pytest.mark.anyio
async def test_e4_the_standard_introspection_query_passes(client: httpx2.AsyncClient) -> None:
    for options in ({}, {"input_value_deprecation": True, "specified_by_url": True, "directive_is_repeatable": True}):
        query = get_introspection_query(**options)
        answer = await client.post("/graphql", json={"query": query, "operationName": "IntrospectionQuery"})
        assert answer.json()["data"]["__schema"]["queryType"] == {"kind": "OBJECT", "name": "Query"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "document",
    [
        "{ __schema { types { name } } }",
        '{ __type(name: "Idea") { name } }',
        "{ helo }",
        "{ ideas }",
        "{ scope }",
        '{ scope(by: { themeID: "1" }) }',
        "{ hello(nam: 1) }",
        "query ($by: Scop) { hello }",
        "{ nodes(ids: []) { ... on Ide { id } } }",
        "mutation { edit(input: {}) { title } }",
    ],
)
async def test_e4_without_introspection_no_name_is_told(document: str) -> None:
    app = toy.create_app(toy.pipeline(introspection=False))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://h") as client:
        answer = await client.post("/graphql", json={"query": document})
        assert answer.status_code == 400
        assert {e["message"] for e in answer.json()["errors"]} == {"The document doesn't fit the schema."}
        query = "mutation ($i: EditInput!) { edit(input: $i) { title } }"
        answer = await client.post("/graphql", json={"query": query, "variables": {"i": {"titl": "x"}}})
        assert [e["message"] for e in answer.json()["errors"]] == ["The variables don't fit the document."] * 2
        assert (await client.post("/graphql", json={"query": "{ __typename hello }"})).json()["data"]["hello"]


def test_failures_are_remembered_without_growing() -> None:
    for _ in range(3):
        with pytest.raises(RequestError) as caught:
            operations.prepare("{ nope }")
    depth = 0
    trace = caught.value.__traceback__
    while trace:
        depth, trace = depth + 1, trace.tb_next
    assert depth <= 2
    assert operations.prepare("{ hello }") is operations.prepare("{ hello }")


def test_e1_what_is_remembered_is_bounded() -> None:
    fresh = toy.operations()
    first = fresh.prepare("{ hello }")
    for number in range(1_200):
        fresh.prepare(f'{{ hello(name: "{number}") }}')
    assert fresh.prepare("{ hello }") is not first
