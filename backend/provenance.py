"""What an answer is made from, noted while it is made.

Whoever makes an answer that others may get opens `noting()`. From then on every read of the database tells here
what it read, whoever asked for it: rows by their ids (those that were not there as well, for they may come), lists by
what may enter them, and moments at which the answer would change by itself. Where nobody notes, telling costs nothing.

A read that tells nothing would let an answer live for ever, so each function in `db/` either tells or is known never
to be part of a public answer; `tests/test_provenance.py` holds them to it.
"""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

OPEN: Final = "~"  # after every id


class Span(NamedTuple):
    """Which rows that are not on a page would get onto it.

    By id alone (`factor` 0): those from `low` to `high`. By votes: those of which `factor` times the votes is over
    `floor`, or equal to it with an id before `high`; `factor` makes it a bound where the list counts otherwise.
    """

    low: str
    high: str
    factor: int = 0
    floor: int = 0

    def admits(self, id: str, votes: int) -> bool:
        if self.factor:
            bound = votes * self.factor
            return bound > self.floor or (bound == self.floor and id < self.high)
        return self.low <= id <= self.high


ANY: Final = Span("", OPEN)


@dataclass(slots=True)
class Sources:
    """`ids` are rows', in hexadecimal; `lists` go by name. `ends_at` is in seconds since 1970. `position` is that of
    the oldest mirror of the database that was read, where one was. `day_ends` is set by who knows the time zone."""

    ids: set[str] = field(default_factory=set)
    lists: dict[str, list[Span]] = field(default_factory=dict)
    ends_at: float = math.inf
    position: int | None = None
    shareable: bool = True
    day_ends: float | None = None
    began: float = field(default_factory=time.time)

    def add_list(self, name: str, span: Span) -> None:
        self.lists.setdefault(name, []).append(span)

    def add(self, other: "Sources") -> None:
        """What `other` was made from goes into this as well."""
        self.ids |= other.ids
        for name, spans in other.lists.items():
            self.lists.setdefault(name, []).extend(spans)
        self.end(other.ends_at)
        if other.position is not None:
            self.position = other.position if self.position is None else min(self.position, other.position)
        self.shareable = self.shareable and other.shareable

    def end(self, moment: float) -> None:
        self.ends_at = min(self.ends_at, moment)


_noting: ContextVar[Sources | None] = ContextVar("noting", default=None)


@contextmanager
def noting() -> Iterator[Sources]:
    """Notes what is read inside."""
    sources = Sources()
    token = _noting.set(sources)
    try:
        yield sources
    finally:
        _noting.reset(token)


def noted() -> Sources | None:
    """Where to note; None where nobody does."""
    return _noting.get()


def note_rows(*ids: UUID | None) -> None:
    """Rows that were read, or looked for in vain."""
    if sources := _noting.get():
        sources.ids.update(id.hex for id in ids if id)


def note_until(moments: Iterable[float]) -> None:
    """Moments just after which something reads otherwise; those that had passed when it was begun don't count."""
    if sources := _noting.get():
        sources.end(min((moment for moment in moments if moment >= sources.began), default=math.inf) + 0.001)


def note_today() -> None:
    """Something that is counted by the municipality's local day."""
    if sources := _noting.get():
        if sources.day_ends is None:
            sources.shareable = False
        else:
            sources.end(sources.day_ends)


def note_private() -> None:
    """Something that differs between callers, or of which nobody tells when it changes."""
    if sources := _noting.get():
        sources.shareable = False


def ideas_of(scope_id: UUID) -> str:
    """The lists of ideas of a district, theme, department, post, group or whole municipality: which they hold, and in
    which order."""
    return f"ideas:{scope_id.hex}"


def votes_of(scope_id: UUID) -> str:
    """Those of them that are ordered by votes."""
    return f"votes:{scope_id.hex}"


def groups_of(municipality_id: UUID) -> str:
    return f"groups:{municipality_id.hex}"
