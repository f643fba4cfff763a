"""What an owner of a schema may tell about a field, so that it can be resolved for many objects at once.

Without a hint a field is resolved as graphql-core does it: its `resolve` is called for each object, with an `info` and
arguments of its own. A hint promises that another way gives the same values.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeAlias

from graphql import GraphQLObjectType, GraphQLResolveInfo

Arguments: TypeAlias = Mapping[str, Any]  # Any: whatever the schema's input types make of them
Info: TypeAlias = GraphQLResolveInfo[Any]  # Any: the owner's context
Source: TypeAlias = Any  # Any: whatever resolvers return


@dataclass(frozen=True, slots=True)
class Attribute:
    """The value is the source's attribute; reading it has no effects."""

    name: str
    get: Callable[[Source], object] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "get", attrgetter(self.name))


@dataclass(frozen=True, slots=True)
class Each:
    """`bind` is called once a level, with an `info` without `path`, and gives the function of one source.

    That may return an awaitable. `bind` may raise, which is then every source's error.
    """

    bind: Callable[[Info, Arguments], Callable[[Source], object]]


@dataclass(frozen=True, slots=True)
class Batch:
    """`resolve` is called once a level with all its sources and gives a value, or an exception, for each in turn."""

    resolve: Callable[[Sequence[Source], Info, Arguments], Sequence[object] | Awaitable[Sequence[object]]]


Hint: TypeAlias = Attribute | Each | Batch

Hints: TypeAlias = Callable[[GraphQLObjectType, str], Hint | None]
"""Asked once a field of a plan, by parent type and field name."""
