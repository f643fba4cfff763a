"""One Redis subscription a process, fanned out to the process's own subscribers.

A wake-up says only that something may have changed; whoever is woken reads for itself, with its own eyes. So a lost,
repeated or forged message can do no harm beyond a read. While Redis is away everybody is woken every second.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator
from uuid import UUID

import orjson
import structlog

from backend.realtime.redis import REDIS_FAILURES, Client

AWAY_SECONDS = 1.0
PATTERNS = ("*:changes", "*:notifications", "*:revocations")

log = structlog.get_logger()


def notifications_channel(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:notifications"


def revocations_channel(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:revocations"


class Hub:
    """Topics: (municipality, None) for its boards, (municipality, idea), (municipality, resident). `revocations` is set
    when access tokens may have been called back."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self.revocations = asyncio.Event()
        self._wake_ups: Counter[UUID] = Counter()
        self._events: defaultdict[tuple[UUID, UUID | None], set[asyncio.Event]] = defaultdict(set)

    async def run(self) -> None:
        """Listens until cancelled; comes back after every loss of Redis, and wakes everybody then."""
        while True:
            try:
                await self._listen()
            except REDIS_FAILURES as error:
                log.debug("hub_lost_redis", error=str(error))
            self.wake_all()
            await asyncio.sleep(AWAY_SECONDS)

    async def _listen(self) -> None:
        await self._redis.initialize()  # a cluster's client otherwise doesn't know yet which nodes there are
        async with self._redis.pubsub() as pubsub:
            await pubsub.psubscribe(*PATTERNS)
            self.wake_all()
            while True:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=30.0)
                if message and message["type"] == "pmessage":
                    self._dispatch(message["channel"], message["data"])

    def _dispatch(self, channel: bytes, data: bytes) -> None:
        try:
            municipality_id = UUID(channel[1:37].decode())
            ids = [UUID(text) for text in orjson.loads(data)]
        except (ValueError, TypeError):
            return  # not one of ours
        if channel.endswith(b":changes"):
            self._wake((municipality_id, None))
        elif channel.endswith(b":revocations"):
            self.revocations.set()
        for id_ in ids:
            self._wake((municipality_id, id_))

    def wake_ups(self, municipality_id: UUID) -> int:
        """How often its boards' subscribers were woken: whatever is read at one number shows what that one was for."""
        return self._wake_ups[municipality_id]

    def _wake(self, topic: tuple[UUID, UUID | None]) -> None:
        if topic[1] is None:
            self._wake_ups[topic[0]] += 1
        for event in self._events.get(topic, ()):
            event.set()

    def wake_all(self) -> None:
        self.revocations.set()
        for topic in self._events:
            self._wake(topic)

    @contextlib.contextmanager
    def _event(self, topic: tuple[UUID, UUID | None]) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._events[topic].add(event)
        try:
            yield event
        finally:
            self._events[topic].discard(event)
            if not self._events[topic]:
                del self._events[topic]

    async def _wakes(self, topic: tuple[UUID, UUID | None], every: float) -> AsyncGenerator[None, None]:
        """Yields at once, then after every wake-up, at most once in `every` seconds."""
        with self._event(topic) as event:
            while True:
                event.clear()
                yield
                await asyncio.sleep(every)
                await event.wait()

    def boards(self, municipality_id: UUID) -> AsyncGenerator[None, None]:
        return self._wakes((municipality_id, None), 1.0)

    def idea(self, municipality_id: UUID, idea_id: UUID) -> AsyncGenerator[None, None]:
        return self._wakes((municipality_id, idea_id), 1.0)

    def notifications(self, municipality_id: UUID, resident_id: UUID) -> AsyncGenerator[None, None]:
        return self._wakes((municipality_id, resident_id), 0.0)
