"""What two people without a programmer get wrong at the start ends with one line that says what to do."""

import os
import socket
import subprocess
import sys
from uuid import uuid4

import pytest

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


@pytest.mark.parametrize("command", ["serve", "worker"])
async def test_a_database_that_was_not_migrated_is_told_in_one_line(
    command: str, servers: Servers, settings: Settings
) -> None:
    name = f"test_{uuid4().hex}"
    await execute_sql(servers, f"CREATE DATABASE {name}")
    given = {
        "HEITTO_DATABASE_URL": database(servers, name),
        "HEITTO_REDIS_URL": settings.redis_url,
        "HEITTO_SECRET_KEY": "x" * 32,
        "HEITTO_SIGNING_KEY_FILE": str(settings.signing_key_file),
        "HEITTO_PORT": "0",
    }
    ended = subprocess.run(  # noqa: ASYNC221 # nothing else is to happen meanwhile
        [sys.executable, "-m", "backend", command],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    await execute_sql(servers, f"DROP DATABASE {name} WITH (FORCE)")
    assert ended.returncode == 1
    assert ended.stderr.strip().endswith("run heitto migrate first")
    assert len(ended.stderr.strip().splitlines()) == 1
