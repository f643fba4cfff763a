"""C4: which municipality a request is for, from the raw Host header; in process, then through a real server."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import orjson
import pytest

from backend.app import create_app
from backend.settings import Settings, load_settings
from tests.access.asking import both
from tests.access.paths import from_the_root
from tests.access.test_elsewhere import mutation
from tests.access.towns import CANARIES, Towns
from tests.conftest import Api
from tests.schema_walk import root_fields
from tests.transport.wire import Wire

pytestmark = pytest.mark.anyio

HOSTS = "osallistu.ilola.example=ilola,www.muula.example=muula,muula.example:8443=muula"
WHICH = "{ municipality { slug } }"
# What a Host header says, and whom that names; None is nobody, 404.
NAMED: dict[str | None, str | None] = {
    "osallistu.ilola.example": "ilola",
    "www.muula.example": "muula",
    "OSALLISTU.ilola.Example": "ilola",  # names of hosts know no case (RFC 4343)
    "muula.example:8443": "muula",
    # exact: with the port where the list has one, and without where it has none
    "muula.example": None,
    "www.muula.example:80": None,
    "www.muula.example:": None,
    "www.muula.example.": None,
    ".www.muula.example": None,
    "x.www.muula.example": None,
    "www.muula.example.evil.example": None,
    "evil.example#www.muula.example": None,
    "user@www.muula.example": None,
    "http://www.muula.example": None,
    "www.muula.example/": None,
    "www.muula.example, osallistu.ilola.example": None,
    "www.muula.example\t": None,
    "www.muula.exampl\u00e8": None,
    "muula": None,
    "127.0.0.1": None,
    "[::1]": None,
    "*": None,
    "": None,
    None: None,
}
# Headers that a proxy might add: none of them names a municipality.
IGNORED = {
    "x-forwarded-host": "www.muula.example",
    "forwarded": "host=www.muula.example",
    "x-host": "www.muula.example",
    "x-original-host": "www.muula.example",
    "x-http-host-override": "www.muula.example",
    "origin": "https://www.muula.example",
    "referer": "https://www.muula.example/",
}


@pytest.fixture
async def hosted(towns: Towns, settings: Settings) -> AsyncIterator[Api]:
    """The application with hosts for both, and no municipality to fall back on."""
    listed = load_settings(allowed_hosts=HOSTS).allowed_hosts
    allowed = settings.model_copy(update={"allowed_hosts": listed, "default_municipality": ""})
    app = create_app(allowed)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://nowhere.test") as client:
            yield replace(towns.here.people.api, app=app, client=client)


async def asked(api: Api, host: str | None, **more: str) -> tuple[int, str | None]:
    """Status, and whose answer it was."""
    headers = {"content-type": "application/json", **({} if host is None else {"host": host}), **more}
    async with Wire(api.app, "http", "/graphql", {}, method="POST") as wire:
        wire.put({"type": "http.request", "body": orjson.dumps({"query": WHICH}), "more_body": False})
        wire.scope["headers"] = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
        status = (await wire.take())["status"]
        answer = orjson.loads((await wire.take())["body"])
    return status, answer["data"]["municipality"]["slug"] if status == 200 else answer["errors"][0]["extensions"][
        "code"
    ]


async def test_c4_the_raw_host_header_names_the_municipality_by_an_exact_list(hosted: Api) -> None:
    for host, slug in NAMED.items():
        expected = (200, slug) if slug else (404, "NOT_FOUND")
        assert await asked(hosted, host) == expected, host
        assert await asked(hosted, host, **IGNORED) == expected, host


async def test_c4_the_header_of_the_contract_stands_before_the_host(hosted: Api) -> None:
    assert await asked(hosted, "www.muula.example", heitto_municipality="ilola") == (200, "ilola")
    for slug in ("nowhere", "ILOLA", "ilola ", "ilola,muula", "../ilola", "*"):
        assert await asked(hosted, "www.muula.example", heitto_municipality=slug) == (404, "NOT_FOUND"), slug


async def test_c4_two_hosts_or_two_municipalities_are_none(hosted: Api) -> None:
    for name in ("host", "heitto-municipality"):
        named = {"host": ("osallistu.ilola.example", "www.muula.example"), "heitto-municipality": ("ilola", "muula")}[
            name
        ]
        for pair in (named, named[::-1], (named[0], named[0])):
            async with Wire(hosted.app, "http", "/graphql", {}, method="POST") as wire:
                twice = [(name.encode(), value.encode()) for value in pair]
                wire.scope["headers"] = [(b"content-type", b"application/json"), *twice]
                wire.put({"type": "http.request", "body": orjson.dumps({"query": WHICH}), "more_body": False})
                assert (await wire.take())["status"] == 404, pair


async def test_c4_a_token_is_held_against_the_municipality_of_the_host(towns: Towns, hosted: Api) -> None:
    token = f"Bearer {towns.here.people.tokens['author']}"
    assert await asked(hosted, "osallistu.ilola.example", authorization=token) == (200, "ilola")
    assert await asked(hosted, "www.muula.example", authorization=token) == (403, "WRONG_MUNICIPALITY")
    assert await asked(hosted, "nowhere.example", authorization=token) == (200, "ilola")  # the token's own


async def test_c4_sockets_and_streams_go_by_the_same_list(hosted: Api) -> None:
    document = "subscription { leaderboardChanged(first: 1) { rank } }"
    for host, slug in NAMED.items():
        headers = {"content-type": "application/json"} | ({} if host is None else {"host": host})
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        async with Wire(hosted.app, "http", "/graphql/stream", {}, method="POST") as wire:
            wire.scope["headers"] = raw
            wire.put({"type": "http.request", "body": orjson.dumps({"query": document}), "more_body": False})
            assert (await wire.take())["status"] == (200 if slug else 404), host
        async with Wire(hosted.app, "websocket", "/graphql", {}, subprotocols=["graphql-transport-ws"]) as wire:
            wire.scope["headers"] = raw
            wire.put({"type": "websocket.connect"})
            await wire.take()
            wire.say({"type": "connection_init", "payload": {}})
            if slug:
                assert (await wire.hear())["type"] == "connection_ack", host
            else:
                assert (await wire.closed())[0] == 4403, host


@contextmanager
def serving(settings: Settings, log: Path) -> Iterator[int]:
    """The port of a server process on these towns."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    environment = {
        "HEITTO_DATABASE_URL": settings.database_url,
        "HEITTO_REDIS_URL": settings.redis_url,
        "HEITTO_SECRET_KEY": settings.secret_key.get_secret_value(),
        "HEITTO_SIGNING_KEY_FILE": str(settings.signing_key_file),
        "HEITTO_PORT": str(port),
        "HEITTO_ALLOWED_HOSTS": HOSTS,
        "HEITTO_RATE_LIMITS": "off",
        "HEITTO_LOG_LEVEL": "debug",
        "HEITTO_LOG_FORMAT": "json",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "backend", "serve"], stdout=out, stderr=out, env={**os.environ, **environment}
        )
    try:
        deadline = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


async def raw_answer(port: int, target: str, *headers: str) -> str:
    """Status line, headers and body of a request written by hand."""
    body = orjson.dumps({"query": WHICH}).decode()
    lines = [f"POST {target} HTTP/1.1", *headers, "Content-Type: application/json", f"Content-Length: {len(body)}"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([*lines, "Connection: close", "", body]).encode())
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    return answer


async def test_c4_behind_a_real_server_and_nothing_in_its_log(towns: Towns, settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with serving(settings, log) as port:
            ilola, muula = "Host: osallistu.ilola.example", "Host: www.muula.example"
            assert '"slug":"ilola"' in await raw_answer(port, "/graphql", ilola)
            assert '"slug":"muula"' in await raw_answer(port, "/graphql", muula)
            assert " 404 " in await raw_answer(port, "/graphql", "Host: nowhere.example")
            # the target's own host is not believed, whatever it says
            answer = await raw_answer(port, "http://www.muula.example/graphql", ilola)
            assert "muula" not in answer
            # two hosts are none that anybody could be sure of
            answer = await raw_answer(port, "/graphql", ilola, muula)
            assert " 404 " in answer or " 400 " in answer
            await busy(towns, port)
        logged = log.read_text()  # noqa: ASYNC240 # nothing else waits here
    assert "Traceback" not in logged
    assert not any(canary in logged.lower() for canary in CANARIES.values())
    assert not any(token in logged for town in (towns.here, towns.there) for token in town.people.tokens.values())


async def busy(towns: Towns, port: int) -> None:
    """Everything once, and much that is wrong, as somebody of either municipality."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        for asker in both(towns.asked_through(replace(towns.here.people.api, client=client))):
            for document in [*from_the_root(asker.town.id("theme"))][::5]:
                await asker.post(document, actor="contact")
            for wrong in ("{ nonsense }", "{", '{ node(id: "x") { id } }', "mutation { setVote }"):
                await asker.post(wrong, actor="author")
            for name in root_fields("mutation"):
                await asker.post(*mutation(name), actor="moderator")
            assert asker.leaks == []
