"""Clients of Redis or Valkey: quick to give up, never retrying on a caller's time."""

from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

Client: TypeAlias = Redis | RedisCluster
# What a call may raise when Redis is away, slow, full or filled with something else.
REDIS_FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)
TIMEOUT_SECONDS = 0.25


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
        return RedisCluster.from_url(urlunsplit(parts._replace(scheme="redis")), **options)
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
