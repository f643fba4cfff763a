"""Promises E5, E6, D12, E12: a foreign page can neither do nor read anything, and tokens come in a header alone."""

import json
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest
from httpx2 import Response

from backend.settings import Settings
from tests.conftest import Api
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

OURS = "https://app.ilola.example"
REGISTER = "mutation ($input: RegisterDeviceInput!) { registerDevice(input: $input) { accessToken } }"
VIEWER = "{ viewer { resident { id } } }"
PATHS = ("/graphql", "/graphql/stream")
ORIGINS = (
    "null",
    "https://evil.example",
    "http://app.ilola.example",
    "https://app.ilola.example:444",
    "https://app.ilola.example.evil.example",
    "https://evil-app.ilola.example",
    "https://evil.example/https://app.ilola.example",
    "https://evil.example#https://app.ilola.example",
    "https://app.ilola.example@evil.example",
    "https://app.ilola.example%2eevil.example",
    "https://app.ilola.example.",
    "https://app.ilola.example https://evil.example",
    "https://арр.ilola.example",
    "file://",
    "",
)
SIMPLE = (
    "text/plain",
    "text/plain; charset=utf-8",
    "text/plain; application/json",
    "text/plain, application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json, text/plain",
    "application/json; boundary=x",
    "application/jsonx",
    "application/graphql",
    "application/json-seq",
    "",
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"allowed_origins": (OURS,)})


def register() -> bytes:
    input = {"locale": "fi", "idempotencyKey": str(uuid4())}
    return json.dumps({"query": REGISTER, "variables": {"input": input}}).encode()


async def accounts(api: Api) -> int:
    count: int = await api.conn.fetchval("SELECT count(*) FROM residents")
    return count


def cors(answer: Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("path", PATHS)
async def test_e5_what_a_foreign_page_can_send_unasked_does_nothing(api: Api, path: str) -> None:
    before, answers = await accounts(api), []
    for origin in ("https://evil.example", "null", OURS):
        for content_type in SIMPLE:
            headers = {"origin": origin, "accept": "*/*", **({"content-type": content_type} if content_type else {})}
            answers.append(await api.client.post(path, content=register(), headers=headers))
    assert {answer.status_code for answer in answers} == {415}
    assert {answer.json()["errors"][0]["extensions"]["code"] for answer in answers} == {"UNSUPPORTED_MEDIA_TYPE"}
    assert await accounts(api) == before


@pytest.mark.parametrize("path", PATHS)
async def test_e5_a_get_changes_nothing(api: Api, path: str) -> None:
    before = await accounts(api)
    sent = json.loads(register())
    query = f"query={quote(REGISTER)}&variables={quote(json.dumps(sent['variables']))}"
    accept = "text/event-stream" if path.endswith("stream") else "application/json"
    answer = await api.client.get(f"{path}?{query}", headers={"origin": "https://evil.example", "accept": accept})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert await accounts(api) == before


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ORIGINS)
async def test_e5_a_foreign_origin_is_let_in_by_no_preflight_and_reads_nothing(
    api: Api, path: str, origin: str
) -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "content-type, authorization"}
    sent = {b"origin": origin.encode()}
    encoded = {name.encode(): value.encode() for name, value in asks.items()}
    preflight = await api.client.options(path, headers={**sent, **encoded})
    assert "access-control-allow-origin" not in cors(preflight)
    query = f"{path}?query={quote('{ __typename }')}"
    for accept in (b"application/json", b"text/event-stream"):
        answer = await api.client.get(query, headers={**sent, b"accept": accept})
        assert "access-control-allow-origin" not in cors(answer)


async def test_our_own_page_may_ask_for_what_the_api_takes_and_nothing_else(api: Api) -> None:
    asks = {"origin": OURS, "access-control-request-method": "POST"}
    allowed = "content-type, authorization, heitto-municipality, accept-language, x-request-id"
    preflight = await api.client.options("/graphql", headers={**asks, "access-control-request-headers": allowed})
    assert preflight.status_code == 200
    assert cors(preflight)["access-control-allow-origin"] == OURS
    assert "access-control-allow-credentials" not in cors(preflight)
    assert set(cors(preflight)["access-control-allow-methods"].split(", ")) == {"GET", "POST"}
    for refused in (
        {"access-control-request-headers": "x-evil"},
        {"access-control-request-method": "DELETE"},
        {"access-control-request-method": "PUT"},
    ):
        assert (await api.client.options("/graphql", headers={**asks, **refused})).status_code == 400
    answer = await api.post("{ __typename }", origin=OURS)
    assert cors(answer)["access-control-allow-origin"] == OURS
    assert "origin" in answer.headers["vary"].lower()


class TestWithoutTheSetting:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"allowed_origins": ()})

    @pytest.mark.parametrize("path", [*PATHS, "/healthz", "/.well-known/jwks.json", "/graphiql/start.js"])
    async def test_no_other_page_may_read_anything(self, api: Api, path: str) -> None:
        for method in ("OPTIONS", "GET", "POST"):
            asks = {"origin": OURS, "access-control-request-method": "POST"}
            assert cors(await api.client.request(method, path, headers=asks)) == {}


def opens(api: Api, origin: str, host: str = "heitto.test", query: bytes = b"") -> Wire:
    headers = {"host": host, **({"origin": origin} if origin != "-" else {})}
    wire = Wire(api.app, "websocket", "/graphql", headers, subprotocols=["graphql-transport-ws"], query_string=query)
    wire.put({"type": "websocket.connect"})
    return wire


@pytest.mark.parametrize("origin", [*ORIGINS, "https://heitto.test.evil.example", "https://heitto.test:8443"])
async def test_e6_a_foreign_page_opens_no_socket(api: Api, origin: str) -> None:
    async with opens(api, origin) as wire:
        assert await wire.closed() == (1008, "")  # before it is accepted: 403


@pytest.mark.parametrize("origin", [OURS, "https://heitto.test", "-"])
async def test_our_own_pages_and_apps_open_sockets(api: Api, origin: str) -> None:
    async with opens(api, origin) as wire:
        assert (await wire.take())["type"] == "websocket.accept"


@pytest.mark.parametrize("name", ["access_token", "token", "authorization", "Authorization", "bearer_token"])
async def test_d12_a_token_in_a_query_string_is_nobodys(api: Api, name: str) -> None:
    token = await api.token()
    assert (await api.data(VIEWER, token=token))["viewer"]
    for said in (token, f"Bearer {token}"):
        extra = f"{name}={quote(said)}"
        posted = await api.client.post(f"/graphql?{extra}", json={"query": VIEWER})
        assert posted.json() == {"data": {"viewer": None}}
        got = await api.client.get(f"/graphql?query={quote(VIEWER)}&{extra}")
        assert (got.status_code, got.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_USER_INPUT")
        assert token not in got.text
        events = {"accept": "text/event-stream"}
        stream = await api.client.get(f"/graphql/stream?query={quote(VIEWER)}&{extra}", headers=events)
        assert '"code":"BAD_USER_INPUT"' in stream.text
        assert token not in stream.text
        async with opens(api, "-", query=extra.encode()) as wire:
            await wire.take()
            wire.say({"type": "connection_init"})
            await wire.take()
            wire.say({"type": "subscribe", "id": "1", "payload": {"query": VIEWER}})
            assert (await wire.hear())["payload"] == {"data": {"viewer": None}}


async def test_d12_a_token_in_a_cookie_or_an_extension_is_nobodys(api: Api) -> None:
    token = await api.token()
    cookies = "; ".join(f"{name}={token}" for name in ("access_token", "token", "Authorization", "session"))
    answer = await api.post(VIEWER, cookie=cookies)
    assert answer.json() == {"data": {"viewer": None}}
    assert "set-cookie" not in answer.headers
    body = {"query": VIEWER, "extensions": {"authorization": f"Bearer {token}"}}
    assert (await api.client.post("/graphql", json=body)).json() == {"data": {"viewer": None}}


PAGES = ("/graphql?query={__typename}", "/graphql", "/graphql/stream", "/healthz", "/readyz", "/.well-known/jwks.json")
FILES = ("/metrics", "/graphiql/start.js", "/graphiql/graphiql.min.css", "/nothing-here")


@pytest.mark.parametrize("path", [*PAGES, *FILES])
async def test_e12_no_answer_is_sniffed_and_no_page_shows_it(api: Api, path: str) -> None:
    for accept in ("application/json", "text/html", "text/event-stream"):
        answer: httpx2.Response = await api.client.get(path, headers={"accept": accept})
        assert answer.headers.get("x-content-type-options") == "nosniff", (path, accept)
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/graphql/", "/graphql/stream/", "/healthz/"])
async def test_c4_a_slash_too_many_leads_to_no_other_host(api: Api, path: str) -> None:
    answer = await api.client.post(path, content=register(), headers={"host": "evil.example"})
    assert (answer.status_code, answer.headers.get("location")) == (404, None)
