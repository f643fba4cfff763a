"""Where values stand in an answer: kept as cheaply as can be, and spelt out only when an error needs its path."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Protocol

from graphql.pyutils import Path


class Step(NamedTuple):
    """A key or an index on the way from the root; `nullable` is whether null may stand there."""

    key: str | int
    nullable: bool
    type_name: str | None


class Spot(Protocol):
    """A row of places of equal kind."""

    def steps(self, index: int) -> list[Step]:
        """The way from the root to the place with this index."""


class Root:
    """The one place of the root object."""

    def steps(self, index: int) -> list[Step]:
        del index
        return []


@dataclass(slots=True)
class Below:
    """The places of one field, below objects that stand at `outer`."""

    outer: Spot
    key: str
    nullable: bool
    type_name: str

    def steps(self, index: int) -> list[Step]:
        return [*self.outer.steps(index), Step(self.key, self.nullable, self.type_name)]


@dataclass(slots=True)
class Items:
    """The places in the lists that stand at `outer`, one list after the other."""

    outer: Spot
    sizes: Sequence[int]
    nullable: bool

    def steps(self, index: int) -> list[Step]:
        ends = list(accumulate(self.sizes))
        number = bisect_right(ends, index)
        return [*self.outer.steps(number), Step(index - ends[number] + self.sizes[number], self.nullable, None)]


@dataclass(slots=True)
class Some:
    """Those of the places at `outer` that have these indices."""

    outer: Spot
    indices: Sequence[int]

    def steps(self, index: int) -> list[Step]:
        return self.outer.steps(self.indices[index])


def as_path(steps: Sequence[Step]) -> Path:
    """The same as graphql-core has it. There must be one step at least."""
    path: Path | None = None
    for step in steps:
        path = Path(path, step.key, step.type_name)
    assert path is not None  # noqa: S101 # as promised
    return path
