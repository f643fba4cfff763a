"""Clients of Redis or Valkey: quick to give up, never retrying on a caller's time."""

import asyncio
from collections.abc import Iterable
from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

Client: TypeAlias = Redis | RedisCluster
# What a call may raise when Redis is away, slow, full or filled with something else.
REDIS_FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)
TIMEOUT_SECONDS = 0.25


class _Cancellable(AbstractConnection):
    """Writes under `asyncio.timeout`, where redis-py makes a task and waits for it by `asyncio.wait_for`: that takes
    twice as long, and in Python 3.11 it forgets a cancellation that comes just as the task is done (CPython 86296). A
    claim was renewed for ever so, and a server didn't stop."""

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        seconds, self.socket_timeout = self.socket_timeout, None  # with none it writes without `wait_for`
        try:
            async with asyncio.timeout(seconds):
                await super().send_packed_command(command, check_health)
        except TimeoutError:
            raise RedisTimeoutError("Timeout writing to socket") from None
        finally:
            self.socket_timeout = seconds


def _cancellable(connection_class: type[AbstractConnection]) -> type[AbstractConnection]:
    return type(connection_class.__name__, (_Cancellable, connection_class), {})


def open_redis(url: str, *, listens: bool = False) -> Client:
    """A client for `redis://`, `rediss://`, `unix://` or `redis+cluster://`. Connects when first used.

    `listens`: for publish and subscribe, whose reads wait for as long as nothing happens.
    """
    options: dict[str, Any] = {  # Any: redis-py takes them as keywords
        "socket_connect_timeout": TIMEOUT_SECONDS if not listens else 2.0,
        "socket_timeout": None if listens else TIMEOUT_SECONDS,
        "health_check_interval": 10 if listens else 0,
    }
    if url.startswith("redis+cluster://"):
        parts = urlsplit(url)
        cluster = RedisCluster.from_url(urlunsplit(parts._replace(scheme="redis")), **options)
        made = cluster.connection_kwargs
        made["connection_class"] = _cancellable(made["connection_class"])
        for node in cluster.nodes_manager.startup_nodes.values():
            node.connection_class = made["connection_class"]
        return cluster
    client = Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
    client.connection_pool.connection_class = _cancellable(client.connection_pool.connection_class)
    return client
