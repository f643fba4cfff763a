"""Finished public answers in Redis, for processes that don't have them yet.

An entry is believed only where PostgreSQL's feed shows that nothing it was made from changed since, and where its
keyed hash proves that one of us wrote it: who can write into Redis can't put words on residents' phones. An entry moved
under another key, cut, or made by another version of the program fails that proof. Redis is never waited for longer
than READ_SECONDS, and left alone for a second after a failure.
"""

import asyncio
import hashlib
import hmac
import math
import time
from typing import Final
from uuid import UUID

import orjson
import structlog

from backend.provenance import Sources, Span
from backend.realtime.changes import Changes
from backend.realtime.redis import REDIS_FAILURES, Client
from backend.transport.answers import Answer
from backend.transport.finished import Key

READ_SECONDS: Final = 0.02
AVOID_SECONDS: Final = 1.0
KEPT_SECONDS: Final = 30  # entries end by what changes; but what was forgotten is to be nowhere within a minute
LARGEST_BODY: Final = 128 * 1024
LARGEST_SHARE: Final = 16 * 1024 * 1024  # bytes one process writes in KEPT_SECONDS
WRITES_AT_ONCE: Final = 32
_MAC_BYTES: Final = 32

log = structlog.get_logger()


class SharedAnswers:
    """`build` tells one version of the program from another."""

    def __init__(self, redis: Client, changes: Changes, *, secret: bytes, build: str) -> None:
        self._redis = redis
        self._changes = changes
        self._secret = hashlib.blake2b(secret, digest_size=32, person=b"heitto-answers").digest()
        self._build = build
        self._avoid_until = 0.0
        self._writing: set[asyncio.Task[None]] = set()
        self._written = 0
        self._written_since = 0.0

    async def get(self, key: Key) -> tuple[Answer, Sources] | None:
        """None where there is none that is proven to hold."""
        if time.monotonic() < self._avoid_until:
            return None
        name = self._name(key)
        try:
            async with asyncio.timeout(READ_SECONDS):
                value = await self._redis.get(name)
        except REDIS_FAILURES as error:
            self._avoid(error)
            return None
        found = self._opened(name, value) if isinstance(value, bytes) else None
        if found is None:
            return None
        answer, sources = found
        position = sources.position
        if position is None or time.time() >= sources.ends_at or await self._changes.changed_after(sources, position):
            return None
        return answer, sources

    def put(self, key: Key, answer: Answer, sources: Sources) -> None:
        """Written after the callers have their answer."""
        now = time.monotonic()
        if now < self._avoid_until or len(self._writing) >= WRITES_AT_ONCE or len(answer.body) > LARGEST_BODY:
            return
        if now - self._written_since > KEPT_SECONDS:
            self._written, self._written_since = 0, now
        value = self._closed(name := self._name(key), answer, sources)
        if self._written + len(value) > LARGEST_SHARE:
            return
        self._written += len(value)
        task = asyncio.create_task(self._write(name, value))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, name: str, value: bytes) -> None:
        try:
            await self._redis.set(name, value, px=KEPT_SECONDS * 1000)
        except REDIS_FAILURES as error:
            self._avoid(error)

    def _avoid(self, error: Exception) -> None:
        log.info("answers_without_redis", error=repr(error))
        self._avoid_until = time.monotonic() + AVOID_SECONDS

    def _name(self, key: Key) -> str:
        return answer_key(key, self._build)

    def _closed(self, name: str, answer: Answer, sources: Sources) -> bytes:
        ends_at = None if math.isinf(sources.ends_at) else sources.ends_at
        lists = {name: [tuple(span) for span in spans] for name, spans in sources.lists.items()}
        told = orjson.dumps((sources.began, ends_at, sources.position, list(sources.ids), lists))
        content = len(told).to_bytes(4, "big") + told + answer.body
        return self._mac(name, content) + content

    def _opened(self, name: str, value: bytes) -> tuple[Answer, Sources] | None:
        mac, content = value[:_MAC_BYTES], value[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(name, content)):
            return None
        length = int.from_bytes(content[:4], "big")
        began, ends_at, position, ids, lists = orjson.loads(content[4 : 4 + length])
        if abs(time.time() - began) > 2 * KEPT_SECONDS:  # an old one put back: the feed is kept for an hour
            return None
        sources = Sources(
            ids=set(ids),
            lists={name: [Span(*span) for span in spans] for name, spans in lists.items()},
            ends_at=math.inf if ends_at is None else ends_at,
            position=position,
            began=began,
        )
        return Answer(content[4 + length :]), sources

    def _mac(self, name: str, content: bytes) -> bytes:
        return hashlib.blake2b(name.encode() + b"\0" + content, key=self._secret, digest_size=_MAC_BYTES).digest()


def answer_key(key: Key, build: str) -> str:
    """By municipality, then everything an answer depends on: language, offices, document, variables, and program."""
    scope = key.scope
    assert isinstance(scope, tuple)  # noqa: S101 # the gate's
    municipality_id: UUID = scope[0]
    text = hashlib.blake2b(repr((scope, key.text, build)).encode(), digest_size=20).hexdigest()
    return f"{{{municipality_id}}}:answer:{text}"
