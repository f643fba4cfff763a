"""PostgreSQL and Valkey on a machine that has neither, for the demo and the tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backend.embedded.folder import DataFolder, claim
from backend.embedded.postgres import postgres, postgres_url
from backend.embedded.supervisor import Child, Supervisor
from backend.embedded.valkey import valkey, valkey_url


@dataclass(frozen=True, slots=True)
class Servers:
    """`postgres` and `valkey` are None where a server of somebody else is used; their `pid` is always the newest."""

    database_url: str
    redis_url: str
    folder: DataFolder
    supervisor: Supervisor
    postgres: Child | None
    valkey: Child | None


@contextmanager
def embedded_servers(
    path: Path, *, durable: bool = True, database_url: str = "", redis_url: str = ""
) -> Iterator[Servers]:
    """Both servers with their data under `path`, until the `with` is left or this process ends in any way.

    A URL given stands for a server that runs already; `durable=False` trades safety for speed, in tests. A server that
    dies is started again. Raises DataFolderInUse, or EmbeddedError where the servers can't run.
    """
    own_postgres = own_valkey = None
    with claim(path) as folder, Supervisor(folder) as supervisor:
        if not database_url:
            database_url = postgres_url(folder)
            [own_postgres] = supervisor.start(postgres(folder, supervisor.guard, durable=durable))
        if not redis_url:
            redis_url = valkey_url(folder)
            [own_valkey] = supervisor.start(valkey(folder, durable=durable))
        folder.announce(database_url=database_url, redis_url=redis_url)
        yield Servers(database_url, redis_url, folder, supervisor, own_postgres, own_valkey)
