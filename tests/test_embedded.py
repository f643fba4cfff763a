"""The embedded servers: what they keep, what they survive, and that nothing survives them."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import asyncpg
import psutil  # type: ignore[import-untyped] # has no stubs
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from backend.embedded.folder import (
    DataFolderInUse,
    EmbeddedError,
    RunningDemo,
    claim,
    running_demo,
    secret_key,
    signing_key_file,
)
from backend.embedded.servers import Servers, embedded_servers
from backend.embedded.supervisor import Program

# A demo in small. Its child has a child, and looks at the servers when it is told to end.
CHILD = """
import signal, socket, subprocess, sys, time
def end(*_):
    time.sleep(0.3)
    for path in sys.argv[2:]:
        socket.socket(socket.AF_UNIX).connect(path)
    open(sys.argv[1], "w").write("both servers were there to the end")
    grandchild.kill()
    sys.exit()
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
signal.signal(signal.SIGTERM, end)
open(sys.argv[1], "w").write("ready")
while True:
    signal.pause()
"""
DEMO = f"""
import json, os, sys
from pathlib import Path
from backend.embedded.servers import embedded_servers
from backend.embedded.supervisor import Program, exit_on_signals, run_until_signal
exit_on_signals()
folder = Path(sys.argv[1])
with embedded_servers(folder) as servers:
    sockets = servers.folder.sockets
    said = folder / "child"
    command = [sys.executable, "-c", {CHILD!r}, said, sockets / ".s.PGSQL.5432", sockets / "valkey.sock"]
    ready = lambda pid: said.exists() and said.read_text() == "ready"
    [web] = servers.supervisor.start(Program(name="web", command=command, env=os.environ, ready=ready))
    servers.folder.announce(url="http://127.0.0.1:8123/graphql")
    print(json.dumps([servers.postgres.pid, servers.valkey.pid, web.pid]), flush=True)
    run_until_signal()
"""


def run_demo(folder: Path) -> subprocess.Popen[str]:
    # A shell's background job ignores SIGINT, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen([sys.executable, "-c", DEMO, folder], stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def demo(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """-> the demo, ready, and the pids of PostgreSQL, Valkey and its child."""
    with run_demo(folder) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.terminate()


def sql(url: str, statement: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            value: object = await connection.fetchval(statement)
            return value
        finally:
            await connection.close()

    return asyncio.run(run())


def valkey(servers: Servers) -> "redis.Redis":
    return redis.Redis.from_url(servers.redis_url, decode_responses=True)


def eventually(holds: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def answers(servers: Servers) -> bool:
    try:
        return sql(servers.database_url, "SELECT 1") == 1 and bool(valkey(servers).ping())
    except (OSError, asyncpg.PostgresError, redis.RedisError):
        return False


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those of them that still run: neither gone nor waiting to be reaped by whoever inherited them."""
    left = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
        except psutil.NoSuchProcess:
            continue
    return left


def watchdogs(processes: list[psutil.Process]) -> list[psutil.Process]:
    found = []
    for process in processes:
        with suppress(psutil.Error):  # a zombie has no command line
            found += [process] if "watchdog.py" in process.cmdline() else []
    return found


def mentioning(folder: Path) -> list[str]:
    """Command lines and environments that name the folder."""
    return [
        f"{process.info['name']} {process.pid}"
        for process in psutil.process_iter(["name", "cmdline", "environ"])
        if str(folder) in f"{process.info['cmdline']} {process.info['environ']}" and process.pid != os.getpid()
    ]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not `tmp_path`: that is below a folder only root may enter, and root's PostgreSQL may have to run as nobody."""
    with tempfile.TemporaryDirectory(prefix="heitto-test-") as name:
        path = Path(name)
        path.chmod(0o711)
        yield path


def test_data_stay_between_starts(folder: Path) -> None:
    with embedded_servers(folder) as servers:
        sql(servers.database_url, "CREATE TABLE kept AS SELECT 'Ilola' AS name")
        valkey(servers).set("kept", "Ilola")
    with embedded_servers(folder) as servers:
        assert sql(servers.database_url, "SELECT name FROM kept") == "Ilola"
        assert valkey(servers).get("kept") == "Ilola"


def test_writes_are_durable_and_only_sockets_are_open(folder: Path) -> None:
    with embedded_servers(folder) as servers:
        settings = ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "jit", "TimeZone")
        shown = [sql(servers.database_url, f"SHOW {name}") for name in settings]
        assert shown == ["on", "on", "on", "", "off", "UTC"]
        kept = valkey(servers).config_get("append*", "port", "maxmemory-policy")
        assert (kept["appendonly"], kept["appendfsync"], kept["port"]) == ("yes", "everysec", "0")
        assert kept["maxmemory-policy"] == "noeviction"
        assert servers.folder.sockets.stat().st_mode & 0o777 == 0o700
        assert (folder / "postgres").stat().st_mode & 0o777 == 0o700


def test_the_log_of_postgres_holds_neither_rows_nor_statements(folder: Path) -> None:
    with embedded_servers(folder, durable=False) as servers:
        sql(servers.database_url, "CREATE TABLE vote (resident text CONSTRAINT vote_pkey PRIMARY KEY)")
        sql(servers.database_url, "INSERT INTO vote VALUES ('Aino Virtanen')")
        with pytest.raises(asyncpg.UniqueViolationError):
            sql(servers.database_url, "INSERT INTO vote VALUES ('Aino Virtanen')")
    log = (folder / "postgres/server.log").read_text()
    assert "vote_pkey" in log
    assert "Aino" not in log


def test_a_long_log_makes_room(folder: Path) -> None:
    (folder / "valkey").mkdir()
    (folder / "valkey/server.log").write_bytes(b"x" * 5_000_001)
    with embedded_servers(folder, database_url="postgresql://elsewhere/") as servers:
        assert servers.postgres is None
    assert (folder / "valkey/server.log").stat().st_size < 5_000
    assert (folder / "valkey/server.log.1").stat().st_size == 5_000_001


def test_a_server_that_cannot_start_is_one_clear_line(folder: Path) -> None:
    with embedded_servers(folder, durable=False):
        pass
    (folder / "postgres/PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError) as refusal, embedded_servers(folder, durable=False):
        pass
    assert "database files are incompatible with server" in str(refusal.value)
    assert str(folder / "postgres/server.log") in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert mentioning(folder) == []


def test_a_half_made_cluster_is_thrown_away(folder: Path) -> None:
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new/PG_VERSION").write_text("18\n")
    with embedded_servers(folder, durable=False) as servers:
        assert sql(servers.database_url, "SELECT 1") == 1
    assert not (folder / "postgres.new").exists()


def test_stale_files_that_name_another_program_are_no_obstacle(folder: Path) -> None:
    with embedded_servers(folder, durable=False) as servers:
        sockets = servers.folder.sockets
    stale = f"{os.getpid()}\n{folder}/postgres\n1\n5432\n{sockets}\n\n0 0\nready\n"
    (folder / "postgres/postmaster.pid").write_text(stale)
    sockets.mkdir(mode=0o700)
    (sockets / ".s.PGSQL.5432.lock").write_text(stale)
    with embedded_servers(folder, durable=False) as servers:
        assert sql(servers.database_url, "SELECT 1") == 1


def test_two_folders_run_side_by_side_whatever_their_paths(folder: Path) -> None:
    spaced, long = folder / "Ilolan kunta, 'ääni'", folder / ("k" * 200) / ("l" * 200)
    with embedded_servers(spaced, durable=False) as one, embedded_servers(long, durable=False) as other:
        for servers, name in ((one, "one"), (other, "other")):
            sql(servers.database_url, f"CREATE TABLE here AS SELECT '{name}' AS name")
            valkey(servers).set("here", name)
        assert sql(one.database_url, "SELECT name FROM here") == "one"
        assert sql(other.database_url, "SELECT name FROM here") == "other"
        assert [valkey(one).get("here"), valkey(other).get("here")] == ["one", "other"]


def test_keys_are_private_and_stay(folder: Path) -> None:
    file, secret = signing_key_file(folder), secret_key(folder)
    pem = file.read_bytes()
    assert isinstance(load_pem_private_key(pem, None), Ed25519PrivateKey)
    assert len(bytes.fromhex(secret)) == 32
    assert signing_key_file(folder).read_bytes() == pem
    assert secret_key(folder) == secret
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "signing-key.pem": 0o600,
        "secret-key": 0o600,
    }


def test_a_folder_that_cannot_be_written_is_one_clear_line(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(EmbeddedError, match=r"file can't be used: .*--data-dir$"), claim(folder / "file"):
        pass


@pytest.mark.slow
def test_a_second_demo_is_refused_naming_the_first_until_that_is_killed(folder: Path) -> None:
    assert running_demo(folder) is None
    with demo(folder) as (first, _):
        with pytest.raises(DataFolderInUse) as refusal, embedded_servers(folder):
            pass
        assert (refusal.value.pid, refusal.value.url) == (first.pid, "http://127.0.0.1:8123/graphql")
        assert str(first.pid) in str(refusal.value)
        assert refusal.value.url in str(refusal.value)
        found = running_demo(folder)
        assert found is not None
        assert found == RunningDemo(first.pid, refusal.value.url, found.database_url, found.redis_url)
        assert sql(found.database_url, "SELECT 1") == 1
        dying = watchdogs(family(first.pid))
        first.kill()
        first.wait()
        assert running_demo(folder) is None
        with embedded_servers(folder) as servers:
            assert servers.postgres is not None
            assert eventually(lambda: running(dying) == [], seconds=5)
            assert answers(servers)
            assert servers.postgres.deaths == 0


@pytest.mark.slow
def test_killed_servers_come_back_with_their_data(folder: Path) -> None:
    with embedded_servers(folder) as servers:
        postgres, valkey_child = servers.postgres, servers.valkey
        assert postgres is not None
        assert valkey_child is not None
        sql(servers.database_url, "CREATE TABLE kept (n int)")
        for n in range(4):
            before = postgres.pid, valkey_child.pid
            sql(servers.database_url, f"INSERT INTO kept SELECT {n}")
            valkey(servers).rpush("kept", n)
            with busy_backend(servers.database_url):
                os.kill(postgres.pid, signal.SIGKILL)
                os.kill(valkey_child.pid, signal.SIGKILL)
                assert eventually(lambda: postgres.pid != before[0], seconds=5)  # noqa: B023 # used in this turn
                assert eventually(lambda: answers(servers), seconds=5)
            assert valkey_child.pid != before[1]
        assert sql(servers.database_url, "SELECT string_agg(n::text, ',' ORDER BY n) FROM kept") == "0,1,2,3"
        assert valkey(servers).lrange("kept", 0, -1) == ["0", "1", "2", "3"]
        assert (postgres.deaths, valkey_child.deaths) == (4, 4)
    assert not servers.folder.sockets.exists()


@contextmanager
def busy_backend(url: str) -> Iterator[None]:
    """A statement that never looks whether its postmaster still lives."""

    def endless() -> None:
        with pytest.raises((OSError, asyncpg.PostgresError)):
            sql(url, "DO 'BEGIN LOOP END LOOP; END'")

    thread = Thread(target=endless, daemon=True)
    thread.start()
    assert eventually(
        lambda: sql(url, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'") == 1,
        seconds=5,
    )
    yield
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.slow
@pytest.mark.parametrize("first_killed", ["nothing", "the postmaster", "the watchdog"])
def test_nothing_outlives_a_killed_parent(folder: Path, first_killed: str) -> None:
    with demo(folder) as (process, [postgres, _valkey, _child]):
        found = running_demo(folder)
        assert found is not None
        with busy_backend(found.database_url):
            processes = family(process.pid)
            names = []
            for each in processes:
                with suppress(psutil.NoSuchProcess):  # the backend of a statement that has just ended
                    names.append(each.name())
            assert names.count("valkey-server") == 1
            assert names.count("postgres") > 5
            [watchdog] = watchdogs(processes)
            if first_killed == "the postmaster":
                os.kill(postgres, signal.SIGKILL)
            elif first_killed == "the watchdog":
                watchdog.kill()
                assert eventually(lambda: watchdogs(family(process.pid)) not in ([], [watchdog]), seconds=5)
            process.kill()
            process.wait()
            assert eventually(lambda: running(processes) == [], seconds=3), running(processes)
        if first_killed != "the postmaster":
            assert "received fast shutdown request" in (folder / "postgres/server.log").read_text()
        assert mentioning(folder) == []


@pytest.mark.slow
def test_servers_that_outlived_parent_and_watchdog_are_ended_by_the_next_start(folder: Path) -> None:
    with demo(folder) as (process, _):
        processes = family(process.pid)
        for each in [process, *watchdogs(processes)]:
            each.kill()
        process.wait()
        with embedded_servers(folder) as servers:
            assert answers(servers)
            left = {each.name() for each in running(processes)}
        assert left & {"postgres", "valkey-server"} == set()
        for each in running(processes):
            each.kill()


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.0, 0.03, 0.1, 0.2, 0.3, 0.4])
def test_nothing_outlives_a_parent_killed_at_its_first_start(folder: Path, after: float) -> None:
    with run_demo(folder) as process:
        assert eventually((folder / "postgres.new").exists, seconds=10)
        time.sleep(after)
        processes = family(process.pid)
        process.kill()
        process.wait()
        assert eventually(lambda: running(processes) == [] and mentioning(folder) == [], seconds=3)
    with embedded_servers(folder) as servers:
        assert answers(servers)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_children_first_and_exits_0(folder: Path, sign: signal.Signals) -> None:
    with demo(folder) as (process, _):
        processes = family(process.pid)
        process.send_signal(sign)
        process.send_signal(sign)
        assert process.wait(10) == 0
        assert running(processes) == []
    assert (folder / "child").read_text() == "both servers were there to the end"
    assert (folder / "valkey/server.log").stat().st_mtime <= (folder / "postgres/server.log").stat().st_mtime
    assert not (folder / "postgres/postmaster.pid").exists()
    assert "database system was shut down" in (folder / "postgres/server.log").read_text()


@pytest.mark.slow
def test_a_killed_child_is_started_again_without_what_it_left(folder: Path) -> None:
    port = socket.create_server(("127.0.0.1", 0))
    number = port.getsockname()[1]
    port.close()
    # The grandchild inherits the open port, as workers of a web server do.
    command = f"""
import os, signal, socket
server = socket.create_server(("127.0.0.1", {number}))
if not os.fork():
    while True: signal.pause()
signal.pause()
"""

    def open_port(_pid: int) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", number)) == 0

    with embedded_servers(folder, database_url="postgresql://elsewhere/") as servers:
        program = Program(name="web", command=[sys.executable, "-c", command], env={}, ready=open_port)
        [web] = servers.supervisor.start(program)
        assert eventually(lambda: len(family(web.pid)) == 2, seconds=5)
        first = family(web.pid)
        os.kill(web.pid, signal.SIGKILL)
        assert eventually(lambda: web.pid != first[0].pid and open_port(web.pid), seconds=5)
        assert running(first) == []
        assert web.deaths == 1
    assert not open_port(0)
