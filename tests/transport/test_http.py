"""Promises E1 to E11 and E16 over `POST` and `GET /graphql`."""

import gc
import weakref
from contextlib import suppress
from typing import Any

import httpx2
import orjson
import pytest
from structlog.testing import capture_logs

from backend.errors import RequestError
from backend.transport import incoming, operations, pipeline
from tests.transport import toy
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

EDIT = "mutation Edit($input: EditInput!) { edit(input: $input) { title body status at } }"
NEW = "application/graphql-response+json"


def code(answer: httpx2.Response) -> str:
    body = answer.json()
    assert "data" not in body
    found: str = body["errors"][0]["extensions"]["code"]
    return found


async def ask(
    client: httpx2.AsyncClient, query: str, variables: Any = None, **headers: str
) -> httpx2.Response:  # Any: also what is wrong
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)


async def test_strawberry_works_as_under_its_own_execution(client: httpx2.AsyncClient) -> None:
    query = """
      query ($by: Scope!) {
        scope(by: $by)
        nodes(ids: ["I1", "A1"]) { __typename id ... on Idea { title status author { name } } }
      }
    """
    answer = await ask(client, query, {"by": {"districtId": "D1"}})
    assert answer.json() == {
        "data": {
            "scope": "district",
            "nodes": [
                {"__typename": "Idea", "id": "I1", "title": "Sauna", "status": "OPEN", "author": {"name": "Aino"}},
                {"__typename": "Author", "id": "A1"},
            ],
        }
    }


@pytest.mark.parametrize(("given", "body"), [({}, "absent"), ({"body": None}, "null"), ({"body": "b"}, "b")])
async def test_absent_and_null_are_told_apart(
    client: httpx2.AsyncClient, given: dict[str, Any], body: str
) -> None:  # Any: JSON
    variables = {"input": {"title": "t", "status": "DONE", "at": "2026-01-02T03:04:05+00:00", **given}}
    answer = await ask(client, EDIT, variables)
    expected = {"title": "t", "body": body, "status": "DONE", "at": "2026-01-02T03:04:05+00:00"}
    assert answer.json() == {"data": {"edit": expected}}


@pytest.mark.parametrize(
    ("accept", "media", "status"),
    [
        (None, "application/json", 400),
        ("*/*", "application/json", 400),
        ("application/*", "application/json", 400),
        (NEW, NEW, 400),
        (f"{NEW}, application/json;q=0.9", NEW, 400),
        (f"application/json;q=0.5, {NEW};q=0.6", NEW, 400),
        # The audit of graphql-http wants 200 for a document's own faults, of clients that name only the older type.
        ("application/json", "application/json", 200),
        (f"application/json, {NEW}", "application/json", 200),
    ],
)
async def test_the_media_type_is_negotiated(
    client: httpx2.AsyncClient, accept: str | None, media: str, status: int
) -> None:
    answer = await ask(client, "{ nope }", accept=accept or "*/*")
    assert (answer.status_code, answer.headers["content-type"]) == (status, f"{media}; charset=utf-8")
    assert code(answer) == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize("accept", ["text/plain", "image/*", "application/json;q=0", "application/xml, text/csv"])
async def test_an_accept_header_that_excludes_us_is_406(client: httpx2.AsyncClient, accept: str) -> None:
    answer = await ask(client, "{ hello }", accept=accept)
    assert (answer.status_code, code(answer)) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/jsonx",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/json; x=y",
        "application/graphql",
    ],
)
async def test_e5_post_needs_exactly_json(client: httpx2.AsyncClient, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await client.post("/graphql", content=b'{"query":"{ hello }"}', headers=headers)
    assert (answer.status_code, code(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
async def test_json_in_utf8_is_taken(client: httpx2.AsyncClient, content_type: str) -> None:
    answer = await client.post("/graphql", content=b'{"query":"{ hello }"}', headers={"content-type": content_type})
    assert answer.json() == {"data": {"hello": "Hello, world!"}}


async def test_e16_compressed_bodies_are_refused(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, "{ hello }", content_encoding="gzip")
    assert (answer.status_code, code(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_e16_a_body_over_128_kb_is_refused_by_its_length(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, "{ hello }", {"x": "y" * 131_072})
    assert (answer.status_code, code(answer)) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.headers["connection"] == "close"


async def test_e16_a_chunked_body_is_not_read_to_its_end() -> None:
    app = toy.create_app()
    async with Wire(app, "http", "/graphql", {"content-type": "application/json"}, method="POST") as wire:
        for _ in range(3):
            wire.put({"type": "http.request", "body": b" " * 50_000, "more_body": True})
        assert (await wire.take())["status"] == 413


async def test_e16_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "BODY_SECONDS", 0.05)
    app = toy.create_app()
    async with Wire(app, "http", "/graphql", {"content-type": "application/json"}, method="POST") as wire:
        wire.put({"type": "http.request", "body": b"{", "more_body": True})
        assert (await wire.take())["status"] == 408


NOT_A_REQUEST = {
    "an array": b'[{"query":"{ hello }"}]',
    "a string": b'"{ hello }"',
    "not JSON": b"{hello}",
    "empty": b"",
    "not UTF-8": b'{"query":"{ hello }","operationName":"\xff"}',
    "no query": b'{"variables":{}}',
    "an empty query": b'{"query":""}',
    "a query of another type": b'{"query":{"a":1}}',
    "variables of another type": b'{"query":"{ hello }","variables":[1]}',
    "a name of another type": b'{"query":"{ hello }","operationName":1}',
    "extensions of another type": b'{"query":"{ hello }","extensions":"x"}',
    "an unknown key": b'{"query":"{ hello }","doc":"x"}',
    "an unknown operation": b'{"query":"query A { hello }","operationName":"B"}',
    "no operation named": b'{"query":"query A { hello } query B { hello }"}',
    "no operation at all": b'{"query":"fragment A on Query { hello }"}',
    "NaN": b'{"query":"{ hello }","variables":{"a":NaN}}',
    "1e400": b'{"query":"{ hello }","variables":{"a":1e400}}',
    "5,000 digits": b'{"query":"{ hello }","variables":{"a":' + b"9" * 5_000 + b"}}",
    "33 levels": b'{"query":"{ hello }","variables":{"a":' + b"[" * 32 + b"]" * 32 + b"}}",
    "100,000 levels": b'{"query":"{ hello }","variables":{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
    "a lone surrogate": b'{"query":"{ hello }","variables":{"a":"\\ud800"}}',
}


@pytest.mark.parametrize("body", NOT_A_REQUEST.values(), ids=NOT_A_REQUEST.keys())
async def test_e2_e11_what_is_no_request_is_bad_user_input(client: httpx2.AsyncClient, body: bytes) -> None:
    with capture_logs() as logs:
        answer = await client.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert code(answer) in ("BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED")
    assert logs == []


async def test_extensions_are_ignored(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/graphql", json={"query": "{ hello }", "extensions": {"a": 1}, "variables": None})
    assert answer.json() == {"data": {"hello": "Hello, world!"}}


@pytest.mark.parametrize("character", ["\\u0000", "\\ufffe", "\\ufdd0", "\\ud83f\\udfff", "\\ud800"])
async def test_e10_unstorable_text_is_refused_naming_the_path(client: httpx2.AsyncClient, character: str) -> None:
    body = '{"query":%s,"variables":{"input":{"title":"a%sb"}}}' % (orjson.dumps(EDIT).decode(), character)  # noqa: UP031 # braces
    answer = await client.post("/graphql", content=body.encode(), headers={"content-type": "application/json"})
    assert (answer.status_code, code(answer)) == (400, "BAD_USER_INPUT")
    assert answer.json()["errors"][0]["message"].startswith("`variables.input.title` ")
    assert not toy.seen


@pytest.mark.parametrize("key", ["a\\u0000", "\\ud800"])
async def test_e10_unstorable_text_in_a_key_is_refused(client: httpx2.AsyncClient, key: str) -> None:
    body = f'{{"query":"{{ hello }}","variables":{{"input":{{"{key}":1}}}}}}'
    answer = await client.post("/graphql", content=body.encode(), headers={"content-type": "application/json"})
    assert (answer.status_code, code(answer)) == (400, "BAD_USER_INPUT")
    assert answer.json()["errors"][0]["message"].startswith("`variables.input, a key` ")


@pytest.mark.parametrize("literal", ['"\\u0000"', '"\\uFFFE"', '"""\ufdd0"""', '"\U0010ffff"'])
async def test_e10_unstorable_text_in_the_document_is_refused(client: httpx2.AsyncClient, literal: str) -> None:
    answer = await ask(client, f"{{ hello(name: {literal}) }}")
    assert (answer.status_code, code(answer)) == (400, "BAD_USER_INPUT")
    assert "the string in line 1, column 15" in answer.json()["errors"][0]["message"]


async def test_e10_astral_text_is_text(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, "query ($n: String!) { hello(name: $n) }", {"n": "🧖 Åsa"})
    assert answer.json() == {"data": {"hello": "Hello, 🧖 Åsa!"}}


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query ($n: Int) { ideas(first: $n) { nodes { id } } }", {"n": 2**31}),
        ("query ($n: Int) { ideas(first: $n) { nodes { id } } }", {"n": "x" * 100_000}),
        ("query ($n: Int!) { ideas(first: $n) { nodes { id } } }", {}),
        ("query ($f: Float!) { floatBack(value: $f) }", {"f": "1"}),
        ("query ($by: Scope!) { scope(by: $by) }", {"by": {"themeId": "1", "districtId": "2"}}),
        (EDIT, {"input": {"title": "t", "x" * 100_000: 1}}),
        (EDIT, {"input": {"title": "t", "status": "GONE"}}),
        (EDIT, {"input": {"title": "t", "at": "tomorrow"}}),
        ("{ floatBack(value: 1e400) }", {}),
        ("{ floatBack(value: " + "9" * 5_000 + ") }", {}),
    ],
)
async def test_e11_variables_that_do_not_fit_are_bad_user_input(
    client: httpx2.AsyncClient, query: str, variables: dict[str, object]
) -> None:
    answer = await ask(client, query, variables)
    assert (answer.status_code, code(answer)) == (400, "BAD_USER_INPUT")
    assert len(answer.content) < 1_500
    assert not toy.seen


async def test_at_most_five_errors_are_told(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, "{ " + " ".join(f"nope{n}" for n in range(10)) + " }")
    assert len(answer.json()["errors"]) == 5


async def test_a_long_name_is_not_echoed(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, "{ " + "x" * 30_000 + " }")
    assert len(answer.content) < 500


@pytest.mark.parametrize(("accept", "status"), [("application/json", 200), (NEW, 294)])
async def test_an_answer_with_data_and_errors(client: httpx2.AsyncClient, accept: str, status: int) -> None:
    answer = await ask(client, "{ hello refused lost }", accept=accept)
    assert answer.status_code == status
    assert answer.headers["retry-after"] == "2"
    assert answer.json() == {
        "data": {"hello": "Hello, world!", "refused": None, "lost": None},
        "errors": [
            {
                "message": "That cursor is not one of ours.",
                "extensions": {"code": "BAD_USER_INPUT"},
                "locations": [{"line": 1, "column": 9}],
                "path": ["refused"],
            },
            {
                "message": "The database can't be reached right now. Try again in a moment.",
                "extensions": {"code": "UNAVAILABLE"},
                "locations": [{"line": 1, "column": 17}],
                "path": ["lost"],
            },
        ],
    }


@pytest.mark.parametrize("field", ["broken", "strictlyBroken"])
async def test_e7_an_unexpected_error_tells_its_request_id_only_and_is_logged_once(
    client: httpx2.AsyncClient, field: str
) -> None:
    with capture_logs() as logs:
        answer = await ask(
            client, f"query Try($n: String!) {{ hello(name: $n) {field} }}", {"n": "Aino"}, x_request_id="phone-0001"
        )
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["extensions"] == {"code": "INTERNAL", "requestId": "phone-0001"}
    assert b"secret" not in answer.content
    assert b"RuntimeError" not in answer.content
    [line] = logs
    assert (line["request_id"], line["operation"], line["log_level"]) == ("phone-0001", "Try", "error")
    assert "RuntimeError: secret detail" in line["exception"]
    assert "Aino" not in str(line)


async def test_e7_a_failing_gate_is_internal(client: httpx2.AsyncClient, gate: toy.ToyGate) -> None:
    gate.broken = True
    with capture_logs() as logs:
        answer = await ask(client, "{ hello }")
    assert (answer.status_code, code(answer), len(logs)) == (500, "INTERNAL", 1)
    assert b"secret" not in answer.content


@pytest.mark.parametrize(
    ("proposed", "kept"), [("abc-DEF-123", True), ("short", False), ("a" * 65, False), ("with space", False)]
)
async def test_the_request_id_is_echoed_where_it_is_fit(client: httpx2.AsyncClient, proposed: str, kept: bool) -> None:
    answer = await ask(client, "{ hello }", x_request_id=proposed)
    assert (answer.headers["x-request-id"] == proposed) is kept


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({"authorization": "Bearer bad"}, 401, "UNAUTHENTICATED"),
        ({"authorization": "Basic good"}, 401, "UNAUTHENTICATED"),
        ({"heitto-municipality": "nowhere"}, 404, "NOT_FOUND"),
    ],
)
async def test_who_is_not_admitted_runs_nothing(
    client: httpx2.AsyncClient, headers: dict[str, str], status: int, expected: str
) -> None:
    for body in (b'{"query":"{ private }"}', b"not JSON"):
        answer = await client.post("/graphql", content=body, headers={"content-type": "application/json", **headers})
        assert (answer.status_code, code(answer)) == (status, expected)
    assert not toy.seen


async def test_two_authorization_headers_are_refused(client: httpx2.AsyncClient) -> None:
    headers = [("authorization", "Bearer good"), ("authorization", "Bearer good"), ("content-type", "application/json")]
    answer = await client.post("/graphql", content=b'{"query":"{ hello }"}', headers=headers)
    assert (answer.status_code, code(answer)) == (401, "UNAUTHENTICATED")


async def test_authorization_precedes_every_resolver(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, "{ hello boardOrFailure(fail: false) private }")
    assert (answer.status_code, code(answer)) == (401, "UNAUTHENTICATED")
    assert not toy.seen
    answer = await ask(client, "{ private }", authorization="Bearer good")
    assert answer.json() == {"data": {"private": "for who signed in"}}


async def test_points_are_charged_by_cost(client: httpx2.AsyncClient, gate: toy.ToyGate) -> None:
    await ask(client, "{ hello }")
    await ask(client, "{ ideas(first: 100) { nodes { comments { nodes { id } } } } }", authorization="Bearer good")
    await ask(client, 'mutation { a: edit(input: {title: "1"}) { title } b: edit(input: {title: "2"}) { title } }')
    await ask(client, "{ nope }")
    assert gate.charged == [1, 1, 22, 1, 9, 1]  # of what isn't remembered a point is taken before it is read
    gate.charged.clear()
    await ask(client, "{ ideas(first: 100) { nodes { comments { nodes { id } } } } }", authorization="Bearer good")
    await ask(client, "{ nope }")
    assert gate.charged == [1 + 22, 1]


async def test_who_has_no_point_left_is_told_so_before_a_document_is_read(
    client: httpx2.AsyncClient, gate: toy.ToyGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(operations, "parse", lambda text, **limits: read.append(text))
    gate.budget = 0
    for document in ("{ hello }", "{ nope }", "{ " * 900):
        answer = await ask(client, document)
        assert (answer.status_code, code(answer)) == (429, "RATE_LIMITED")
    assert (gate.charged, read) == ([1, 1, 1], [])


async def test_a_request_without_a_document_costs_a_point(client: httpx2.AsyncClient, gate: toy.ToyGate) -> None:
    headers = {"content-type": "application/json"}
    for body in (b"", b"[]", b"{", b'{"query":"{ hello }","variables":{"a":"\\u0000"}}'):
        assert code(await client.post("/graphql", content=body, headers=headers)) == "BAD_USER_INPUT"
    assert code(await client.get("/graphql?query=%7B")) == "GRAPHQL_PARSE_FAILED"
    assert gate.charged == [1] * 5


async def test_over_the_rate_is_429_with_retry_after(client: httpx2.AsyncClient, gate: toy.ToyGate) -> None:
    gate.budget = 0
    answer = await ask(client, "{ private }", authorization="Bearer good")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["errors"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 7}
    assert not toy.seen


async def test_f6_a_query_over_its_time_is_unavailable(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "QUERY_SECONDS", 0.05)
    answer = await ask(client, "{ slow }")
    assert (answer.status_code, code(answer)) == (503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "2"


async def test_a_get_runs_a_query(client: httpx2.AsyncClient) -> None:
    parameters = {
        "query": "query A($n: String!) { hello(name: $n) }",
        "variables": '{"n":"Aino"}',
        "operationName": "A",
    }
    answer = await client.get("/graphql", params=parameters)
    assert answer.json() == {"data": {"hello": "Hello, Aino!"}}


@pytest.mark.parametrize("document", ['mutation { edit(input: {title: "x"}) { title } }', "subscription { endless }"])
async def test_e5_a_get_never_changes_anything(client: httpx2.AsyncClient, document: str) -> None:
    answer = await client.get("/graphql", params={"query": document})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert not toy.seen


@pytest.mark.parametrize(
    "query_string",
    [
        "",
        "query=",
        "query={hello}&query={hello}",
        "query={hello}&variables=[]",
        "query={hello}&variables=x",
        "query={hello}&x=1",
        "query={hello}&extensions=1",
        "&".join(f"a{n}=1" for n in range(50)),
    ],
)
async def test_a_get_that_is_no_request_is_bad_user_input(client: httpx2.AsyncClient, query_string: str) -> None:
    answer = await client.get(f"/graphql?{query_string}")
    assert (answer.status_code, code(answer)) == (400, "BAD_USER_INPUT")


async def test_an_etag_saves_the_body(client: httpx2.AsyncClient) -> None:
    url = "/graphql?query={ideas{nodes{id}}}"
    first = await client.get(url)
    assert (first.status_code, first.headers["cache-control"]) == (200, "private, no-cache")
    for tag in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = await client.get(url, headers={"if-none-match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    changed = await client.get(url.replace("{id}", "{title}"), headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("query", "token", "cache"),
    [
        ("{leaderboard{nodes{id}}}", "", "public, no-cache"),
        ("{leaderboard{nodes{id}}}", "Bearer good", "private, no-store"),
        ("{leaderboard{nodes{viewerFollows}}}", "", "private, no-store"),
        ("{ideas{nodes{id}}}", "", "private, no-cache"),
        ("{broken}", "", "private, no-store"),
    ],
)
async def test_b7_only_what_is_the_same_for_everyone_may_be_shared(
    client: httpx2.AsyncClient, query: str, token: str, cache: str
) -> None:
    answer = await client.get("/graphql", params={"query": query}, headers={"authorization": token} if token else {})
    assert answer.headers["cache-control"] == cache
    assert answer.headers["vary"] == "Accept, Accept-Encoding, Accept-Language, Authorization, Heitto-Municipality"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_browser_gets_the_explorer(client: httpx2.AsyncClient) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    assert "GraphiQL" in (await client.get("/graphql", headers={"accept": accept})).text


async def test_other_methods(client: httpx2.AsyncClient) -> None:
    head = await client.head("/graphql?query={hello}")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "34")
    options = await client.options("/graphql")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    put = await client.put("/graphql")
    assert (put.status_code, code(put)) == (405, "METHOD_NOT_ALLOWED")


async def test_a_subscription_by_post_is_told_where_to_go(client: httpx2.AsyncClient) -> None:
    answer = await ask(client, "subscription { endless }")
    assert (answer.status_code, code(answer)) == (400, "BAD_USER_INPUT")
    assert "/graphql/stream" in answer.json()["errors"][0]["message"]


async def test_e16_a_body_in_crumbs_is_not_read_to_its_end() -> None:
    app = toy.create_app(toy.pipeline(toy.ToyGate()))
    async with Wire(app, "http", "/graphql", {"content-type": "application/json"}, method="POST") as wire:
        for _ in range(incoming.MAX_PIECES + 1):
            wire.put({"type": "http.request", "body": b" ", "more_body": True})
        assert (await wire.take())["status"] == 413


async def test_long_headers_are_not_remembered(gate: toy.ToyGate) -> None:
    doors, caller = incoming.Doors(gate), toy.ToyCaller(("ilola", "fi"), False, None)
    for forwarded, remembered in ((b"192.0.2.1", True), (b"192.0.2.1, " * 200, False)):
        headers = incoming.Headers({"headers": [(b"x-forwarded-for", forwarded)]})
        doors.put(headers, incoming.Door(caller, "application/json"))
        assert (doors.get(headers) is not None) == remembered


def test_a_refusal_that_is_remembered_keeps_nothing_of_the_request() -> None:
    class Sent(str):
        pass

    kept, ran = toy.operations(), []

    def send(document: str) -> None:
        sent = Sent("variables, headers, and who sent them")
        ran.append(weakref.ref(sent))
        with suppress(RequestError):
            kept.prepare(document)

    for document in (
        "{ nope }",
        "{ hello(name: 5) }",
        '{ ideas(after: "\\u0000") { nodes { id } } }',
        "{ a " * 30,
        "{ " * 900,
    ):
        send(document)
        send(document)
    gc.collect()
    assert [each() for each in ran] == [None] * 10
    remembered = [each for each in kept._known._found.values() if isinstance(each, RequestError)]
    assert [(each.__traceback__, each.__context__) for each in remembered] == [(None, None)] * 5
