"""What only a real server shows: clients that leave, handshakes, and bodies on a real connection."""

import ast
import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import httpx2
import pytest
import websockets

pytestmark = pytest.mark.anyio

SERVERS = {
    "granian": ["granian", "--interface", "asgi", "--loop", "uvloop", "--no-log"],
    "uvicorn": ["uvicorn", "--log-level", "critical"],
}


@pytest.fixture(scope="module", params=list(SERVERS.values()), ids=list(SERVERS))
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        *request.param,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "tests.transport.toy:app",
    ]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as server:
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture
async def client(address: str) -> AsyncGenerator[httpx2.AsyncClient, None]:
    async with httpx2.AsyncClient(base_url=f"http://{address}", timeout=10) as client:
        yield client


async def settled(client: httpx2.AsyncClient, opened: int) -> bool:
    """Whether `opened` generators were opened and all of them closed, within five seconds."""
    for _ in range(100):
        seen = ast.literal_eval((await client.get("/seen")).text)
        if seen.get("opened", 0) >= opened and seen.get("opened") == seen.get("closed"):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_an_event_stream_that_its_client_leaves_closes_the_generator(client: httpx2.AsyncClient) -> None:
    before = ast.literal_eval((await client.get("/seen")).text).get("opened", 0)
    body = {"query": "subscription { endless }"}
    async with client.stream("POST", "/graphql/stream", json=body, headers={"accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = answer.aiter_lines()  # kept: an iterator that is dropped closes its connection
        assert [await anext(lines) for _ in range(2)] == ["event: next", 'data: {"data":{"endless":1}}']
        seen = ast.literal_eval((await client.get("/seen")).text)
        assert seen["opened"] == before + 1
        assert seen.get("closed", 0) == before
    assert await settled(client, before + 1)


async def test_a_socket_that_is_cut_closes_its_generators(address: str, client: httpx2.AsyncClient) -> None:
    before = ast.literal_eval((await client.get("/seen")).text).get("opened", 0)
    async with websockets.connect(
        f"ws://{address}/graphql", subprotocols=[websockets.Subprotocol("graphql-transport-ws")]
    ) as ws:
        await ws.send('{"type":"connection_init"}')
        assert await ws.recv() == '{"type":"connection_ack"}'
        for number in range(3):
            await ws.send(f'{{"type":"subscribe","id":"{number}","payload":{{"query":"subscription {{ endless }}"}}}}')
            assert await ws.recv() == f'{{"type":"next","id":"{number}","payload":{{"data":{{"endless":1}}}}}}'
        ws.transport.abort()
    assert await settled(client, before + 3)


async def test_e6_a_foreign_origin_gets_403(address: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://{address}/graphql", origin=websockets.Origin("https://evil.example"))
    assert refused.value.response.status_code == 403


async def test_e6_the_server_closes_with_the_protocols_code(address: str) -> None:
    async with websockets.connect(
        f"ws://{address}/graphql", subprotocols=[websockets.Subprotocol("graphql-transport-ws")]
    ) as ws:
        await ws.send('{"type":"connection_init","payload":{"authorization":"Bearer bad"}}')
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await ws.recv()
    assert closed.value.rcvd == websockets.frames.Close(4403, "Forbidden")


async def test_e16_a_body_too_large_gets_413_and_the_server_goes_on(client: httpx2.AsyncClient) -> None:
    async def flood() -> AsyncGenerator[bytes, None]:
        for _ in range(40):
            yield b" " * 65_536

    for content in (b" " * 10_000_000, flood()):
        try:
            answer = await client.post("/graphql", content=content, headers={"content-type": "application/json"})
            assert answer.status_code == 413
        except httpx2.TransportError:
            pass  # the server hung up while the client was still sending
    assert (await client.post("/graphql", json={"query": "{ hello }"})).json() == {"data": {"hello": "Hello, world!"}}
