"""Answers that are the same for everyone, kept as bytes until what they were made from changes.

An answer is kept with its sources. It is served while a feed of changes, verified lately, tells of none to them, and
until the moment at which it would change by itself. Nothing here is a guess at how long something may hold.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from typing import Protocol

from backend.keeping import Feed, Flights, holds
from backend.metrics import PUBLIC_ANSWERS
from backend.provenance import Sources, noting
from backend.transport.answers import Answer

LARGEST_TEXT = 4_096

_FROM_PROCESS = PUBLIC_ANSWERS.labels("process")
_FROM_STORE = PUBLIC_ANSWERS.labels("redis")
_MADE = PUBLIC_ANSWERS.labels("made")
_DROPPED = PUBLIC_ANSWERS.labels("dropped")


class Store(Protocol):
    """What processes share. Fails silently: without it each makes its own."""

    async def get(self, key: "Key") -> tuple[Answer, Sources] | None:
        """An answer that still holds."""

    def put(self, key: "Key", answer: Answer, sources: Sources) -> None: ...


@dataclass(frozen=True, slots=True)
class Key:
    """`scope` is what every answer varies by, `text` what was asked, told apart from all else that can be."""

    scope: Hashable
    text: Hashable


@dataclass(slots=True, eq=False)
class Kept:
    """The answer to one question, made anew in its place when it is stale; None where there is none now."""

    answer: Answer | None = None
    sources: Sources | None = None
    checked: int = 0
    size: int = 0
    used: bool = True


class FinishedAnswers:
    """Bounded in number and bytes; what was not asked for again goes first. Answers with errors are never kept.

    One call makes an answer that others wait for. Without a feed nothing is kept.
    """

    def __init__(
        self,
        feed: Feed | None = None,
        store: Store | None = None,
        *,
        max_answers: int = 2_000,
        max_bytes: int = 16_000_000,
    ) -> None:
        self._feed = feed
        self._store = store
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._texts: OrderedDict[Hashable, tuple[Kept, int]] = OrderedDict()
        self._flights: Flights[Answer] = Flights(feed)

    def recall(self, text: Hashable) -> tuple[Answer, int] | None:
        """The answer that a request of exactly this text got last, and the points it costs; None where none holds."""
        known = self._texts.get(text)
        if known is None or not self._holds(known[0]):
            return None
        answer = known[0].answer
        assert answer  # noqa: S101 # it holds
        _FROM_PROCESS.inc()
        return answer, known[1]

    def remember(self, text: Hashable, length: int, key: Key, points: int) -> None:
        """A request of this text asks for what is kept under `key`."""
        kept = self._kept.get(key)
        if kept and length <= LARGEST_TEXT:
            self._texts[text] = kept, points
            while len(self._texts) > self._max_answers:
                self._texts.popitem(last=False)

    async def get(self, key: Key, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """Raises what `make` raises."""
        while True:
            kept = self._kept.get(key)
            if kept and self._holds(kept) and kept.answer:
                _FROM_PROCESS.inc()
                return kept.answer
            made = await self._flights.join(key, lambda: self._find(key, make))
            if made is not None:
                return made

    def _holds(self, kept: Kept) -> bool:
        if kept.sources is None or self._feed is None:
            return False
        verdict = holds(self._feed, kept.sources, kept.checked)
        if verdict:
            kept.checked, kept.used = self._feed.sequence, True
        elif verdict is False:
            self._empty(kept)
            _DROPPED.inc()
        return bool(verdict)

    async def _find(self, key: Key, make: Callable[[], Awaitable[Answer]]) -> Answer:
        feed = self._feed
        verified = feed is not None and await feed.verify()
        if feed is None or not verified:
            _MADE.inc()
            return await make()
        kept = self._kept.get(key)
        if kept and self._holds(kept) and kept.answer:  # it had only to be verified
            _FROM_PROCESS.inc()
            return kept.answer
        since, position = feed.sequence, feed.position
        if self._store and (found := await self._store.get(key)):
            _FROM_STORE.inc()
            return self._keep(key, *found, since=since)
        with noting() as sources:
            answer = await make()
        _MADE.inc()
        if answer.has_errors or not sources.shareable or len(answer.body) > self._max_bytes // 8:
            return answer
        sources.position = position if sources.position is None else min(position, sources.position)
        answer = self._keep(key, answer, sources, since=since)
        if self._store:
            self._store.put(key, answer, sources)
        return answer

    def _keep(self, key: Key, answer: Answer, sources: Sources, *, since: int) -> Answer:
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = Kept()
        self._empty(kept)
        kept.answer, kept.sources, kept.checked, kept.used = replace(answer, tag=answer.etag), sources, since, True
        kept.size = len(answer.body) + len(str(key.text)) + 100 * (len(sources.ids) + len(sources.lists)) + 1_000
        self._bytes += kept.size
        while len(self._kept) > self._max_answers or self._bytes > self._max_bytes:
            oldest, other = self._kept.popitem(last=False)
            if self._kept and (other is kept or (other.used and other.answer)):
                other.used = other is kept
                self._kept[oldest] = other  # a second chance, behind all others
            else:
                self._empty(other)
        return kept.answer or answer

    def _empty(self, kept: Kept) -> None:
        """Texts that lead to it find nothing there, until it is made anew."""
        self._bytes -= kept.size
        kept.answer, kept.sources, kept.size = None, None, 0
