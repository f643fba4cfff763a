"""From resolved values to the values of an answer, for many at once, by type.

A completer is given as many values as there are places and gives as many back. Before it come those who know where
values come from: what it is given is None, FAILED, or a value; never an exception, and no awaitable.
"""

import enum
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from inspect import CO_ITERABLE_COROUTINE
from itertools import chain, islice
from math import isfinite
from types import GeneratorType, NoneType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from graphql import (
    GraphQLAbstractType,
    GraphQLBoolean,
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    default_type_resolver,
    is_abstract_type,
    is_leaf_type,
    is_object_type,
)
from graphql.pyutils import Undefined, UndefinedType, inspect, is_iterable

from backend.planned.spots import Items, Some, Spot

if TYPE_CHECKING:
    from backend.planned.plan import Field
    from backend.planned.run import Run


class Failed:
    """What stands where an error was met."""


FAILED: Final = Failed()
_ODD: Final = frozenset({Failed, UndefinedType})
_NOTHING: Final = frozenset({NoneType, Failed})
MAX_INT: Final = 2**31 - 1
MIN_INT: Final = -(2**31)
_MOST_TYPES: Final = 10_000

Value: TypeAlias = Any  # Any: whatever resolvers return, and whatever leaves are serialised to
Values: TypeAlias = list[Value]


_plain: set[type] = set()


def only_plain(kinds: set[type]) -> bool:
    """Whether values of these types are neither awaitable nor exceptions."""
    return kinds <= _plain or _are_plain(kinds)


def _are_plain(kinds: set[type]) -> bool:
    if len(_plain) > _MOST_TYPES:  # types that were made on the fly
        _plain.clear()
    plain = {kind for kind in kinds if not issubclass(kind, (Exception, GeneratorType)) and not _awaits(kind)}
    _plain.update(plain)
    return plain == kinds


def is_awaitable(value: object) -> bool:
    """Whether it must be awaited, as graphql-core sees it."""
    if isinstance(value, GeneratorType):
        return bool(value.gi_code.co_flags & CO_ITERABLE_COROUTINE)
    return _awaits(type(value))


def _awaits(kind: type) -> bool:
    return hasattr(kind, "__await__")


class Completer(Protocol):
    nullable: bool

    def complete(self, run: "Run", field: "Field", values: Values, spot: Spot) -> Values | Awaitable[Values]: ...


class Leaves:
    """Scalars and enums. What is of the usual type goes through as it is."""

    nullable = True

    def __init__(self, type_: GraphQLLeafType) -> None:
        self._type = type_
        self._serialise: Callable[[object], object] = type_.coerce_output_value
        usual, fits = _USUAL[type_.name] if _is_builtin(type_) else (None, None)
        self._usual: type | None = usual
        self._fits: Callable[[Values], bool] | None = fits
        self._members: dict[object, object] = {}

    def done(self, values: Values) -> Values | None:
        """The values, where they need nothing done to them."""
        kinds = {*map(type, values)}
        if len(kinds) == 1 and self._usual in kinds and (self._fits is None or self._fits(values)):
            return values
        return None

    def complete(self, run: "Run", field: "Field", values: Values, spot: Spot) -> Values:
        out = self.done(values)
        if out is None:
            out = self._serialised({*map(type, values)}, values)
        return self._one_by_one(run, field, values, spot) if out is None else out

    def _serialised(self, kinds: set[type], values: Values) -> Values | None:
        """All in one go, where nothing is amiss."""
        if len(kinds) == 1 and isinstance(next(iter(kinds)), enum.EnumMeta):
            members = self._members
            try:
                return [members[value] for value in values]
            except KeyError:
                return None
        if not kinds.isdisjoint(_ODD):
            return None
        serialise = self._serialise
        try:
            out = [None if value is None else serialise(value) for value in values]
        except Exception:  # told by whoever goes through them one by one
            return None
        made = [*map(type, out)]
        nulls = [*map(type, values)].count(NoneType) if NoneType in kinds else 0
        return out if made.count(NoneType) == nulls and UndefinedType not in made else None

    def _one_by_one(self, run: "Run", field: "Field", values: Values, spot: Spot) -> Values:
        out: Values = []
        for index, value in enumerate(values):
            if value is None or value is FAILED or value is Undefined:
                out.append(None if value is Undefined else value)
                continue
            try:
                out.append(self._one(value))
            except Exception as error:
                out.append(run.fail(error, field, spot, index))
        return out

    def _one(self, value: object) -> object:
        serialised = self._serialise(value)
        if serialised is None or serialised is Undefined:
            raise TypeError(
                f"Expected `{inspect(self._type)}.coerce_output_value({inspect(value)})` to return non-nullable value,"
                f" returned: {inspect(serialised)}"
            )
        if isinstance(value, enum.Enum):
            self._members[value] = serialised
        return serialised


def _is_builtin(type_: GraphQLLeafType) -> bool:
    return type_ in (GraphQLString, GraphQLID, GraphQLBoolean, GraphQLInt, GraphQLFloat)


def _ints_fit(values: Values) -> bool:
    return bool(min(values) >= MIN_INT and max(values) <= MAX_INT)


def _floats_fit(values: Values) -> bool:
    return all(map(isfinite, values))


_USUAL: Final[Mapping[str, tuple[type, Callable[[Values], bool] | None]]] = {
    "String": (str, None),
    "ID": (str, None),
    "Boolean": (bool, None),
    "Int": (int, _ints_fit),
    "Float": (float, _floats_fit),
}


class NonNull:
    nullable = False

    def __init__(self, inner: Completer) -> None:
        self.inner = inner

    def complete(self, run: "Run", field: "Field", values: Values, spot: Spot) -> Values | Awaitable[Values]:
        out = self.inner.complete(run, field, values, spot)
        return self._checked(run, field, out, spot) if isinstance(out, list) else self._later(run, field, out, spot)

    async def _later(self, run: "Run", field: "Field", out: Awaitable[Values], spot: Spot) -> Values:
        return self._checked(run, field, await out, spot)

    def _checked(self, run: "Run", field: "Field", out: Values, spot: Spot) -> Values:
        if NoneType not in {*map(type, out)}:
            return out
        return [
            run.fail(TypeError(f"Cannot return null for non-nullable field {field.place}."), field, spot, index)
            if value is None
            else value
            for index, value in enumerate(out)
        ]


class Lists:
    nullable = True

    def __init__(self, inner: Completer) -> None:
        self._inner = inner

    def complete(self, run: "Run", field: "Field", values: Values, spot: Spot) -> Values | Awaitable[Values]:
        kinds = {*map(type, values)}
        if kinds == {list}:
            return self._flat(run, field, values, spot)
        lists, waits = self._read(run, field, values, spot)
        if waits:
            return self._later(run, field, lists, spot)
        return self._flat(run, field, lists, spot)

    def _read(self, run: "Run", field: "Field", values: Values, spot: Spot) -> tuple[Values, bool]:
        """A list for each value that can be read as one, an async iterable for one that must be awaited."""
        lists: Values = []
        waits = False
        for index, value in enumerate(values):
            if value is None or value is Undefined:
                lists.append(None)
            elif value is FAILED:
                lists.append(FAILED)
            elif hasattr(value, "__aiter__"):
                waits = True
                lists.append(value)
            elif not is_iterable(value):
                place = str(field.place)
                error = GraphQLError(f"Expected Iterable, but did not find one for field '{place}'.")
                lists.append(run.fail(error, field, spot, index))
            else:
                items: Values = []
                iterator: Iterator[Value] = iter(())
                try:
                    iterator = iter(value)
                    items.extend(iterator)
                    lists.append(items)
                except Exception as error:
                    with suppress(Exception):  # what it would have given after all may be awaitable too
                        items.extend(iterator)
                    run.abandon(items)
                    lists.append(run.fail(error, field, spot, index))
        return lists, waits

    async def _later(self, run: "Run", field: "Field", lists: Values, spot: Spot) -> Values:
        waiting = [index for index, value in enumerate(lists) if hasattr(value, "__aiter__")]
        for index, read in zip(waiting, await run.together([_read_all(run, lists[at]) for at in waiting]), strict=True):
            lists[index] = run.fail(read, field, spot, index) if isinstance(read, Exception) else read
        out = self._flat(run, field, lists, spot)
        return out if isinstance(out, list) else await out

    def _flat(self, run: "Run", field: "Field", lists: Values, spot: Spot) -> Values | Awaitable[Values]:
        """The items of all lists completed as one row."""
        sizes = [len(each) if type(each) is list else 0 for each in lists]
        items = (
            lists[0] if len(lists) == 1 and sizes[0] else list(chain.from_iterable(x for x in lists if type(x) is list))
        )
        inner = Items(spot, sizes, self._inner.nullable)
        if not items:
            return self._regrouped(lists, sizes, [])
        if not only_plain({*map(type, items)}):
            if any(map(is_awaitable, items)):
                return self._regrouped_later(lists, sizes, self._awaited(run, field, items, inner))
            items = run.without_exceptions(field, items, inner)
        out = self._inner.complete(run, field, items, inner)
        if isinstance(out, list):
            return self._regrouped(lists, sizes, out)
        return self._regrouped_later(lists, sizes, out)

    async def _awaited(self, run: "Run", field: "Field", items: Values, spot: Spot) -> Values:
        settled = run.without_exceptions(field, await run.all_awaited(items), spot)
        out = self._inner.complete(run, field, settled, spot)
        return out if isinstance(out, list) else await out

    async def _regrouped_later(self, lists: Values, sizes: Sequence[int], out: Awaitable[Values]) -> Values:
        return self._regrouped(lists, sizes, await out)

    def _regrouped(self, lists: Values, sizes: Sequence[int], out: Values) -> Values:
        failed = Failed in {*map(type, out)}
        rest = iter(out)
        done: Values = []
        for each, size in zip(lists, sizes, strict=True):
            if type(each) is not list:
                done.append(each)
                continue
            own = list(islice(rest, size))
            if failed and FAILED in own:
                done.append([None if x is FAILED else x for x in own] if self._inner.nullable else FAILED)
            else:
                done.append(own)
        return done


async def _read_all(run: "Run", given: AsyncIterable[object]) -> Values | Exception:
    """What it gives until it ends, or the error that ended it."""
    iterator, items = None, []
    try:
        iterator = aiter(given)
        async for item in iterator:
            items.append(item)  # noqa: PERF401 # what was there before an error is still needed
        return items
    except Exception as error:
        run.abandon(items)
        close = getattr(iterator, "aclose", None)
        if close:
            try:
                await close()
            except Exception:  # the first error is the one to tell
                return error
        return error


class Objects:
    """Objects of one type become rows, to be filled on the next level."""

    nullable = True

    def __init__(self, type_: GraphQLObjectType) -> None:
        self._type = type_

    def complete(self, run: "Run", field: "Field", values: Values, spot: Spot) -> Values | Awaitable[Values]:
        says = self._type.is_type_of
        if says is None or {*map(type, values)} - _NOTHING <= run.plan.planner.classes_of(self._type):
            return self.rows(run, field, values, spot)
        answers: Values = []
        for index, value in enumerate(values):
            if value is None or value is FAILED or value is Undefined:
                answers.append(True)
                continue
            try:
                answers.append(says(value, run.info(field, spot, index)))
            except Exception as error:
                answers.append(error)
        if any(map(is_awaitable, answers)):
            return self._later(run, field, values, answers, spot)
        return self._agreed(run, field, values, answers, spot)

    async def _later(self, run: "Run", field: "Field", values: Values, answers: Values, spot: Spot) -> Values:
        return self._agreed(run, field, values, await run.all_awaited(answers), spot)

    def _agreed(self, run: "Run", field: "Field", values: Values, answers: Values, spot: Spot) -> Values:
        agreed: Values = []
        for index, (value, answer) in enumerate(zip(values, answers, strict=True)):
            if isinstance(answer, Exception):
                agreed.append(run.fail(answer, field, spot, index))
            elif not answer:
                error = GraphQLError(f"Expected value of type '{self._type}' but got: {inspect(value)}.", field.nodes)
                agreed.append(run.fail(error, field, spot, index))
            else:
                agreed.append(value)
        return self.rows(run, field, agreed, spot)

    def rows(self, run: "Run", field: "Field", values: Values, spot: Spot) -> Values:
        there = [i for i, value in enumerate(values) if not (value is None or value is FAILED or value is Undefined)]
        if len(there) == len(values):
            return run.descend(field, self._type, values, spot)
        rows = run.descend(field, self._type, [values[i] for i in there], Some(spot, there)) if there else []
        out: Values = [None if value is Undefined else value for value in values]
        for index, row in zip(there, rows, strict=True):
            out[index] = row
        return out


class Abstract:
    """Interfaces and unions: values are completed together by the type that each one says it is of."""

    nullable = True

    def __init__(self, type_: GraphQLAbstractType) -> None:
        self._type = type_
        self._resolve_type = type_.resolve_type or default_type_resolver
        self._objects: dict[GraphQLObjectType, Objects] = {}

    def complete(self, run: "Run", field: "Field", values: Values, spot: Spot) -> Values | Awaitable[Values]:
        by_class = run.plan.planner.types_by_class(self._type)
        types: Values = [by_class.get(type(value)) for value in values]
        if None not in types:
            return self._split(run, field, values, types, spot)
        types.clear()
        for index, value in enumerate(values):
            known = by_class.get(type(value))
            if known is not None or value is None or value is FAILED or value is Undefined:
                types.append(known)
                continue
            try:
                types.append(self._resolve_type(value, run.info(field, spot, index), self._type))
            except Exception as error:
                types.append(error)
        if any(map(is_awaitable, types)):
            return self._later(run, field, values, types, spot)
        return self._split(run, field, values, types, spot)

    async def _later(self, run: "Run", field: "Field", values: Values, types: Values, spot: Spot) -> Values:
        out = self._split(run, field, values, await run.all_awaited(types), spot)
        return out if isinstance(out, list) else await out

    def _split(
        self, run: "Run", field: "Field", values: Values, types: Values, spot: Spot
    ) -> Values | Awaitable[Values]:
        if len({*map(id, types)}) == 1 and isinstance(types[0], GraphQLObjectType):
            return self._of(types[0]).complete(run, field, values, spot)
        by_type: dict[GraphQLObjectType, list[int]] = {}
        out: Values = [None if value is Undefined else value for value in values]
        for index, (value, type_) in enumerate(zip(values, types, strict=True)):
            if out[index] is None or value is FAILED:
                continue
            try:
                if isinstance(type_, Exception):
                    raise type_
                known = isinstance(type_, GraphQLObjectType)
                object_type = type_ if known else run.runtime_type(type_, self._type, field, value)
                by_type.setdefault(object_type, []).append(index)
            except Exception as error:
                out[index] = run.fail(error, field, spot, index)
        parts = []
        for type_, indices in by_type.items():
            part = self._of(type_).complete(run, field, [values[i] for i in indices], Some(spot, indices))
            parts.append((indices, part))
        if all(isinstance(part, list) for _, part in parts):
            return _joined(out, parts)
        return _joined_later(run, out, parts)

    def _of(self, type_: GraphQLObjectType) -> Objects:
        if type_ not in self._objects:
            self._objects[type_] = Objects(type_)
        return self._objects[type_]


def _joined(out: Values, parts: Iterable[tuple[list[int], Values | Awaitable[Values]]]) -> Values:
    for indices, part in parts:
        assert isinstance(part, list)  # noqa: S101 # whoever calls has awaited it
        for index, value in zip(indices, part, strict=True):
            out[index] = value
    return out


async def _joined_later(run: "Run", out: Values, parts: list[tuple[list[int], Values | Awaitable[Values]]]) -> Values:
    done = await run.all_awaited([part for _, part in parts])
    for part in done:
        if isinstance(part, Exception):
            raise part
    return _joined(out, [(indices, part) for (indices, _), part in zip(parts, done, strict=True)])


def completer(type_: GraphQLOutputType) -> Completer:
    """The one for a type, wrapped as the type is."""
    if isinstance(type_, GraphQLNonNull):
        return NonNull(completer(type_.of_type))
    if isinstance(type_, GraphQLList):
        return Lists(completer(type_.of_type))
    if is_leaf_type(type_):
        return Leaves(type_)
    if is_abstract_type(type_):
        return Abstract(type_)
    assert is_object_type(type_)  # noqa: S101 # there is no other kind
    return Objects(type_)
