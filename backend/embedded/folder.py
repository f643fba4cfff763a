"""A demo's data folder: who uses it, where its sockets are, and its keys."""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_SOCKET_PATH_LIMIT = 103  # bytes, macOS; Linux takes 107
_LAST_GASP = 10.0  # seconds a killed demo's watchdog may need to end the servers


class EmbeddedError(Exception):
    """What can't be done on this machine: one line that names the ways out."""


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """`url` is empty until the demo serves HTTP."""

    pid: int
    url: str = ""
    database_url: str = ""
    redis_url: str = ""


class DataFolderInUse(EmbeddedError):
    """Another demo runs on this folder."""

    def __init__(self, path: Path, running: RunningDemo) -> None:
        at = running.url or "an address it has not taken yet"
        super().__init__(
            f"{path} is in use by process {running.pid}, serving {at}: stop it, or give another --data-dir"
        )
        self.pid = running.pid
        self.url = running.url


@dataclass(slots=True)
class DataFolder:
    """A folder that this process has claimed."""

    path: Path
    sockets: Path
    lock: int  # file descriptor
    running: RunningDemo

    @property
    def mark(self) -> str:
        """In the command line or title of every server of this folder, and of no other process on the machine."""
        return self.sockets.name

    def announce(self, *, url: str = "", database_url: str = "", redis_url: str = "") -> None:
        """Tell `running_demo` of other processes; what is left empty stays as it was."""
        self.running = RunningDemo(
            pid=os.getpid(),
            url=url or self.running.url,
            database_url=database_url or self.running.database_url,
            redis_url=redis_url or self.running.redis_url,
        )
        _write_atomically(self.path / "running.json", json.dumps(asdict(self.running)).encode(), os.replace)


@contextmanager
def claim(path: Path) -> Iterator[DataFolder]:
    """Make the folder where needed, and hold it for this process alone.

    Raises DataFolderInUse, or EmbeddedError where the folder can't be written. A demo that was killed is no obstacle:
    its lock goes when its watchdog has ended its servers, and that is waited for.
    """
    path = path.resolve()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedError(f"{path} can't be used: {error.strerror}; give another --data-dir") from error
    try:
        deadline = time.monotonic() + _LAST_GASP
        while not _try_lock(lock, fcntl.LOCK_EX):
            running = _read_running(path)
            if running and _alive(running.pid):
                raise DataFolderInUse(path, running)
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{path} is still in use by the servers of a demo that has ended")
            time.sleep(0.02)
        folder = DataFolder(path, _socket_folder(path), lock, RunningDemo(os.getpid()))
        folder.announce()
        try:
            yield folder
        finally:
            (path / "running.json").unlink(missing_ok=True)
            shutil.rmtree(folder.sockets, ignore_errors=True)  # a server that had to be killed leaves its socket there
    finally:
        os.close(lock)


def running_demo(path: Path) -> RunningDemo | None:
    """The demo that runs on this folder, for the commands that use its servers."""
    try:
        lock = os.open(path / "lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        running = None if _try_lock(lock, fcntl.LOCK_SH) else _read_running(path)
    finally:
        os.close(lock)
    return running if running and _alive(running.pid) else None


def signing_key_file(path: Path) -> Path:
    """The Ed25519 key in this folder that signs access tokens (PKCS 8, PEM), made at the first call."""
    return _kept(
        path / "signing-key.pem",
        lambda: Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def secret_key(path: Path) -> str:
    """64 hexadecimal digits that stay with the folder, made at the first call."""
    return _kept(path / "secret-key", lambda: secrets.token_hex(32).encode()).read_text()


def _kept(file: Path, make: Callable[[], bytes]) -> Path:
    if not file.exists():
        with suppress(FileExistsError):  # another command was faster: its key stands
            _write_atomically(file, make(), os.link)
    return file


def _write_atomically(file: Path, content: bytes, move: Callable[[str, Path], None]) -> None:
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(content)
            new.flush()
            os.fsync(descriptor)
        move(name, file)
    finally:
        Path(name).unlink(missing_ok=True)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_running(path: Path) -> RunningDemo | None:
    try:
        return RunningDemo(**json.loads((path / "running.json").read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):  # the latter two: another version's file
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _socket_folder(path: Path) -> Path:
    """A short private folder, as the path of a Unix socket may have about a hundred bytes only."""
    name = f"heitto-{os.getuid()}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"
    folder = Path(tempfile.gettempdir(), name)
    if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) > _SOCKET_PATH_LIMIT:
        folder = Path("/tmp", name)  # noqa: S108 # private by name, mode and the check of its owner
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if folder.is_symlink() or (os.getuid() and state.st_uid != os.getuid()) or state.st_mode & 0o077:
        raise EmbeddedError(f"{folder} isn't a private folder of this user: remove it, or set another TMPDIR")
    return folder
