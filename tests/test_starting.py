"""What two people without a programmer get wrong at the start ends with one line that says what to do."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from backend.commands import migrate_database
from backend.embedded.servers import Servers
from backend.settings import Settings, SettingsError, load_settings
from tests.conftest import database, execute_sql

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("allowed_origins", "osallistu.ilola.example", "write https://host[:port]"),
        ("allowed_origins", "https://a.example,https://osallistu.ilola.example/", "'https://osallistu.ilola.example/'"),
        ("allowed_origins", "https://Osallistu.ilola.example", "in small letters"),
        ("allowed_hosts", "https://osallistu.ilola.example=ilola", "without https://"),
        ("allowed_hosts", "osallistu.ilola.example/=ilola", "without https://"),
        ("allowed_hosts", "osallistu.ilola.example", "host=municipality"),
        ("host", "osallistu", "an IP address"),
    ],
)
def test_a_malformed_setting_is_told_by_its_name(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"HEITTO_{name}".upper(), value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    told = str(refused.value)
    assert told.startswith(f"HEITTO_{name}: ".upper())
    assert said in told
    assert "\n" not in told


@pytest.mark.parametrize("origin", ["https://a.example", "http://localhost:3000", "capacitor://localhost", "*"])
def test_origins_are_taken_as_browsers_and_apps_write_them(origin: str) -> None:
    assert load_settings(allowed_origins=origin).allowed_origins == (origin,)


def test_localhost_is_an_address_to_listen_on() -> None:
    assert load_settings(host="localhost").host == "127.0.0.1"


async def test_a_port_that_is_taken_is_told_in_one_line(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        given = {
            "HEITTO_DATABASE_URL": settings.database_url,
            "HEITTO_REDIS_URL": settings.redis_url,
            "HEITTO_SECRET_KEY": "x" * 32,
            "HEITTO_SIGNING_KEY_FILE": str(settings.signing_key_file),
            "HEITTO_PORT": str(other.getsockname()[1]),
        }
        ended = subprocess.run(  # noqa: ASYNC221 # nothing else is to happen meanwhile
            [sys.executable, "-m", "backend", "serve"],
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("heitto: HEITTO_HOST, HEITTO_PORT: can't listen on 127.0.0.1")
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.fixture
async def empty(servers: Servers, settings: Settings) -> AsyncIterator[dict[str, str]]:
    """The environment of a process whose database has nothing in it."""
    name = f"test_{uuid4().hex}"
    await execute_sql(servers, f"CREATE DATABASE {name}")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    yield {
        **os.environ,
        "HEITTO_DATABASE_URL": database(servers, name),
        "HEITTO_REDIS_URL": settings.redis_url,
        "HEITTO_SECRET_KEY": "x" * 32,
        "HEITTO_SIGNING_KEY_FILE": str(settings.signing_key_file),
        "HEITTO_PORT": str(port),
    }
    await execute_sql(servers, f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_worker_is_told_in_one_line_that_its_database_was_not_migrated(empty: dict[str, str]) -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "backend", "worker"],
        env=empty,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().endswith("run heitto migrate first")
    assert len(ended.stderr.strip().splitlines()) == 1


async def test_a_server_on_a_database_that_was_not_migrated_says_so_and_is_ready_once_it_is(
    empty: dict[str, str], tmp_path: Path
) -> None:
    log, url = tmp_path / "log", f"http://127.0.0.1:{empty['HEITTO_PORT']}/readyz"

    async def ready(status: int) -> dict[str, str]:
        async with asyncio.timeout(30), httpx2.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    answer = await client.get(url)
                    if answer.status_code == status:
                        told: dict[str, str] = answer.json()
                        return told
                await asyncio.sleep(0.1)

    with log.open("wb") as output:
        server = subprocess.Popen([sys.executable, "-m", "backend", "serve"], env=empty, stdout=output, stderr=output)  # noqa: ASYNC220 # ends below
    try:
        assert (await ready(503))["schema"] == "behind: run heitto migrate"
        await migrate_database(empty["HEITTO_DATABASE_URL"])
        assert (await ready(200))["schema"] == "ok"
    finally:
        server.terminate()
        server.wait(30)
    assert log.read_text().count("run heitto migrate") == 1
