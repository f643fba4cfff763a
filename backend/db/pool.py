"""Connections to PostgreSQL: one pool a process, timeouts on everything, failures told apart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
import orjson

from backend.db.statements import statements
from backend.errors import RequestError, Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

# Failures are logged, and PostgreSQL's DETAIL quotes what stands in the row ("Failing row contains …").
asyncpg.PostgresError.__str__ = Exception.__str__  # type: ignore[method-assign] # there is no other way to leave it out

SQL = statements("pool")
ACQUIRE_SECONDS = 1.0
# And when PostgreSQL hangs, ACQUIRE_SECONDS more until asyncpg gives up on the cancelled query.
COMMAND_SECONDS = 2.0
LONG_SECONDS = 60.0
SERVER_SETTINGS = {
    "application_name": "heitto",
    "timezone": "UTC",
    "statement_timeout": "3s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "jit": "off",
    # Pages read some hundred rows off an index: helpers take longer to start than that, and take the other core.
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
    "pg_trgm.word_similarity_threshold": "0.4",
}
_LOST = (
    OSError,
    TimeoutError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # used after PostgreSQL's farewell and before the end of the connection was noticed
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.DiskFullError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
)


async def prepare_connection(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """jsonb travels as Python objects."""
    await conn.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda value: orjson.loads(value[1:]),
        format="binary",
    )


async def keep_session(conn: Connection) -> None:
    """What is done to a connection when it comes back, besides ending its transaction: nothing.

    Nobody leaves anything in a session: settings are SET LOCAL, advisory locks end with their transactions. asyncpg's
    own way is a round trip (RESET ALL and others), which took more of both processors than a usual read.
    """
    del conn


async def open_pool(database_url: str, *, size: int) -> Pool:
    """A pool of up to `size` connections, each made when first needed: so PostgreSQL may come later than we."""
    return await asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=size,
        init=prepare_connection,
        timeout=2.0,
        command_timeout=COMMAND_SECONDS,
        max_inactive_connection_lifetime=300,
        reset=keep_session,
        server_settings=SERVER_SETTINGS,
    )


@asynccontextmanager
async def acquire(pool: Pool) -> AsyncIterator[Connection]:
    """A connection; waits at most a second. Raises Unavailable when none came free."""
    try:
        async with asyncio.timeout(ACQUIRE_SECONDS):
            conn = await pool.acquire()
    except (*_LOST, asyncpg.PostgresError) as error:
        raise Unavailable from error
    try:
        yield conn
    finally:
        await pool.release(conn, timeout=ACQUIRE_SECONDS)  # asyncpg shields it from being cancelled


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A transaction of READ COMMITTED on a connection of its own; commits at the end."""
    async with acquire(pool) as conn, conn.transaction():
        yield conn


async def take_time(conn: Connection) -> None:
    """Until the transaction ends a statement may take LONG_SECONDS; it is given that as its `timeout` too."""
    await conn.execute(SQL["take_time"])


def unavailable(error: BaseException) -> RequestError | None:
    """What a lost or overloaded database means for a caller; None for any other error."""
    return Unavailable() if isinstance(error, _LOST) else None
