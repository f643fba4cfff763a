"""A schema with everything in it that a GraphQL executor has to cope with, and resolvers that do what a seed says.

What a field gives depends on the seed, the type and the path alone, never on the moment or on who executes: two
executors meet the same values, the same failures and the same waits.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, TypeAlias
from zlib import crc32

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    Undefined,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

Anything: TypeAlias = Any  # Any: resolvers may return whatever they like, and here they do
Info: TypeAlias = GraphQLResolveInfo[Any]  # Any: of a World, which is defined below
Key: TypeAlias = tuple[str | int, ...]


@dataclass
class World:
    """Per hundred: `failing` of the values are failures, `waiting` are awaited for.

    Of mutations, `begun` has the root fields as they begin, `log` the root field of whatever is resolved or ends.
    """

    seed: int
    failing: int = 0
    waiting: int = 0
    begun: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def dice(self, *key: object) -> Random:
        return Random(crc32(repr(key).encode(), self.seed))

    def outcome(self, type_: GraphQLOutputType, key: Key) -> Anything:
        """What a resolver returns or raises."""
        dice = self.dice(key)
        if dice.randrange(100) < self.failing:
            return self.failure(dice)
        value = self.value(dice, type_, key)
        return self.later(dice, value) if dice.randrange(100) < self.waiting else value

    def failure(self, dice: Random) -> Anything:
        way = dice.randrange(8)
        number = dice.randrange(1000)
        if way == 0:
            raise ValueError(f"failed {number}")
        if way == 1:
            raise GraphQLError(f"refused {number}", extensions={"code": f"CODE{number % 3}"})
        if way == 2:
            return KeyError(f"given back {number}")
        if way == 3:
            return GraphQLError(f"given back {number}", extensions={"code": "BACK"})
        if way == 4:
            return dice.choice([Odd(number), 2**40, float("nan"), "no such thing", [[]], {"a": 1}, b"bytes", Undefined])
        if way == 5 and self.waiting:
            return self.later(dice, ValueError(f"raised later {number}"), raised=True)
        if way == 6 and self.waiting:
            return self.later(dice, dice.choice([None, GraphQLError(f"given back later {number}"), Odd(number)]))
        return None

    def later(self, dice: Random, value: Anything, *, raised: bool = False) -> Awaitable[Anything]:
        way, rounds = dice.randrange(6), dice.randrange(4)
        if way == 0:
            return Promise(value, raised)
        if way == 1:
            future = asyncio.get_running_loop().create_future()
            end = future.set_exception if raised else future.set_result
            if rounds:
                asyncio.get_running_loop().call_soon(lambda: None if future.done() else end(value))
            else:
                end(value)
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            return future
        return _coroutine(value, raised, rounds)

    def value(self, dice: Random, type_: GraphQLOutputType, key: Key) -> Anything:
        if is_non_null_type(type_):
            type_ = type_.of_type
        elif dice.randrange(10) == 0:
            return None
        if is_list_type(type_):
            return self.list(dice, type_.of_type, key)
        if is_leaf_type(type_):
            return dice.choice(LEAVES[type_.name])
        if is_abstract_type(type_):
            type_ = dice.choice(schema().get_possible_types(type_))
        assert is_object_type(type_)
        kind = Bag if type_.is_type_of is None and dice.randrange(3) == 0 else Thing
        return kind(self, type_.name, key)

    def list(self, dice: Random, item: GraphQLOutputType, key: Key) -> Anything:
        count = dice.randrange(4)
        breaks = dice.randrange(100) < self.failing

        def items() -> Iterator[Anything]:
            for index in range(count):
                try:
                    yield self.outcome(item, (*key, index))
                except Exception as error:  # a list holds failures as they are
                    yield error

        def broken() -> Iterator[Anything]:
            yield from items()
            raise RuntimeError(f"broken after {count}")

        source = broken if breaks else items
        way = dice.randrange(7)
        if self.waiting and way == 0:
            return _async_generator(source)
        if self.waiting and way == 1:
            return Stream(source)
        if way == 2 or breaks:
            return source()
        if way == 3:
            return deque(items())
        if way == 4:
            return Shelf(list(items()))
        return tuple(items()) if way == 5 else list(items())


async def _coroutine(value: Anything, raised: bool, rounds: int) -> Anything:
    for _ in range(rounds):
        await asyncio.sleep(0)
    if raised:
        raise value
    return value


async def _async_generator(source: Callable[[], Iterator[Anything]]) -> AsyncIterator[Anything]:
    for item in source():
        await asyncio.sleep(0)
        yield item


@dataclass
class Promise:
    """Awaitable, and nothing else."""

    value: Anything
    raised: bool

    def __await__(self) -> Generator[None, None, Anything]:
        yield
        if self.raised:
            raise self.value
        return self.value


class Stream:
    """An async iterator without `aclose`."""

    def __init__(self, source: Callable[[], Iterator[Anything]]) -> None:
        self._items = source()

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Anything:
        for item in self._items:
            return item
        raise StopAsyncIteration


@dataclass
class Shelf:
    """Iterable, and nothing else."""

    items: list[Anything]

    def __iter__(self) -> Iterator[Anything]:
        return iter(self.items)


@dataclass(frozen=True)
class Odd:
    """What the scalar `Odd` is made from; an even one has no form to be sent in."""

    number: int


class Thing:
    """A source object with attributes, some of them methods."""

    def __init__(self, world: World, type_name: str, key: Key) -> None:
        self.world, self.type_name, self.key = world, type_name, key

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("_"):
            raise AttributeError(name)
        return _default(self, name)

    def __repr__(self) -> str:
        return f"<{self.type_name} {self.key}>"


class Bag(Thing, Mapping[str, Anything]):
    """A source object with keys, which names its own type."""

    def get(self, name: str, default: Anything = None) -> Anything:
        return self.type_name if name == "__typename" else _default(self, name)

    def __getitem__(self, name: str) -> Anything:
        return self.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _default(source: Thing, name: str) -> Anything:
    type_ = schema().type_map[source.type_name]
    assert is_object_type(type_)
    if name not in type_.fields:
        return None
    returned, key = type_.fields[name].type, (*source.key, name)
    if source.world.dice("method", key).randrange(3) == 0:

        def method(info: Info, **arguments: Anything) -> Anything:
            del info
            return told(source.world, returned, key, arguments)

        return method
    return source.world.outcome(returned, key)


def told(world: World, type_: GraphQLOutputType, key: Key, arguments: dict[str, Anything]) -> Anything:
    """An outcome that tells the arguments where it is text."""
    outcome = world.outcome(type_, key)
    return f"{outcome} {arguments!r}" if isinstance(outcome, str) and arguments else outcome


def resolve(source: Anything, info: Info, **arguments: Anything) -> Anything:
    world: World = info.context
    key = tuple(info.path.as_list())
    if info.operation.operation.value != "mutation":
        return told(world, info.return_type, key, arguments)
    world.log.append(str(key[0]))
    if len(key) == 1:
        world.begun.append(str(key[0]))
    outcome = told(world, info.return_type, key, arguments)
    return _logged(world, str(key[0]), outcome) if hasattr(outcome, "__await__") else outcome


async def _logged(world: World, name: str, outcome: Awaitable[Anything]) -> Anything:
    world.log.append(name)
    try:
        return await outcome
    finally:
        world.log.append(name)


async def resolve_later(source: Anything, info: Info, **arguments: Anything) -> Anything:
    outcome = resolve(source, info, **arguments)
    return await outcome if hasattr(outcome, "__await__") else outcome


def tell_info(source: Anything, info: Info) -> str:
    """All that a resolver is told."""
    path, names = info.path, []
    while path:
        names.append(f"{path.typename}.{path.key}")
        path = path.prev  # type: ignore[assignment] # ends with None
    nodes = [(node.name.value, node.loc and node.loc.start) for node in info.field_nodes]
    return repr(
        (
            names,
            info.field_name,
            nodes,
            str(info.return_type),
            str(info.parent_type),
            info.schema is schema(),
            sorted(info.fragments),
            info.root_value,
            info.operation.name and info.operation.name.value,
            info.operation.operation,
            info.variable_values.coerced,
            sorted(info.variable_values.sources),
            type(info.context).__name__,
            source if isinstance(source, Thing) else type(source).__name__,
        )
    )


def resolve_type(value: Anything, info: Info, abstract: object) -> Anything:
    """The type's name, at once or later; sometimes a wrong one."""
    world: World = info.context
    name = getattr(value, "type_name", None)
    dice = world.dice("type", getattr(value, "key", ()), str(abstract))
    answer: Anything = name
    if dice.randrange(100) < world.failing:
        way = dice.randrange(6)
        if way == 0:
            raise ValueError(f"no type of {name}")
        answer = (None, "Nothing", "Node", "Query", 7, "Int")[way]
    return world.later(dice, answer) if dice.randrange(100) < world.waiting else answer


def is_type_of(type_name: str, *, later: bool) -> Callable[[Anything, Info], Anything]:
    def check(value: Anything, info: Info) -> Anything:
        world: World = info.context
        dice = world.dice("is", getattr(value, "key", ()), type_name)
        answer: Anything = getattr(value, "type_name", None) == type_name
        if dice.randrange(200) < world.failing:
            if dice.randrange(2):
                raise ValueError(f"is it {type_name}?")
            answer = not answer
        return world.later(dice, answer) if later and dice.randrange(100) < world.waiting else answer

    return check


def _serialize_odd(value: Anything) -> Anything:
    if not isinstance(value, Odd):
        raise TypeError("not odd at all")
    if value.number % 2 == 0:
        raise GraphQLError(f"{value.number} is even", extensions={"code": "EVEN"})
    return None if value.number % 7 == 0 else {"odd": [value.number]}


def _parse_odd(value: Anything) -> Odd:
    if not isinstance(value, int) or value % 2 == 0:
        raise GraphQLError(f"{value!r} is not odd")
    return Odd(value)


ODD = GraphQLScalarType("Odd", serialize=_serialize_odd, parse_value=_parse_odd)
PLAIN = GraphQLScalarType("Plain")
COLOUR = GraphQLEnumType("Colour", {"RED": 1, "GREEN": "green", "BLUE": (0, 0, 255), "NONE": None})
CHOICE: GraphQLInputObjectType = GraphQLInputObjectType(
    "Choice",
    lambda: {
        "number": GraphQLInputField(GraphQLInt),
        "text": GraphQLInputField(GraphQLString, out_name="words"),
        "several": GraphQLInputField(GraphQLList(GraphQLNonNull(COLOUR))),
        "filter": GraphQLInputField(FILTER),
    },
    is_one_of=True,
)
FILTER: GraphQLInputObjectType = GraphQLInputObjectType(
    "Filter",
    lambda: {
        "least": GraphQLInputField(GraphQLInt, default_value=1),
        "most": GraphQLInputField(GraphQLNonNull(GraphQLInt), default_value=9, out_name="greatest"),
        "colours": GraphQLInputField(GraphQLList(GraphQLNonNull(COLOUR)), default_value=[1]),
        "odd": GraphQLInputField(ODD),
        "needed": GraphQLInputField(GraphQLNonNull(GraphQLString)),
        "inner": GraphQLInputField(FILTER),
        "choice": GraphQLInputField(CHOICE),
        "rows": GraphQLInputField(GraphQLList(GraphQLNonNull(GraphQLList(GraphQLInt)))),
        "plain": GraphQLInputField(PLAIN),
    },
)

EXAMPLES: Mapping[str, list[Anything]] = {
    "Odd": [1, 3, 4, "x"],
    "Plain": ["text", 1.5, {"a": [1, {"b": None}]}, [], True],
    "Int": [0, 1, -7, 2**31 - 1],
    "Float": [0.5, 0, -1e300, 3],
    "String": ["", "a", 'ä"\\\n'],
    "Boolean": [True, False],
    "ID": ["1", "x", 7],
}
LEAVES: Mapping[str, list[Anything]] = {
    "Int": [0, 1, -5, 3.0, True, "12", 2**31],
    "Float": [0.25, 1, "2.5", True, 1e300, float("inf")],
    "String": ["", "text", 7, 1.5, True],
    "Boolean": [True, False, 0, 1.0],
    "ID": ["id", 5, "ä", 1.5],
    "Odd": [Odd(1), Odd(3), Odd(5), Odd(4), Odd(7)],
    "Plain": ["x", {"a": 1}, [1, [2]], 1.5],
    "Colour": [1, "green", (0, 0, 255), "RED", 99],
}


def examples(scalar: str, place: str) -> list[Anything]:
    """Valid ones; whether an even `Odd` is refused shows at run time only where it comes in a variable."""
    del place
    found = EXAMPLES[scalar]
    return found[:2] if scalar == "Odd" else found


def _arguments() -> dict[str, GraphQLArgument]:
    return {
        "int": GraphQLArgument(GraphQLInt),
        "sure": GraphQLArgument(GraphQLNonNull(GraphQLInt), default_value=3, out_name="certain"),
        "numbers": GraphQLArgument(GraphQLList(GraphQLNonNull(GraphQLInt))),
        "rows": GraphQLArgument(GraphQLList(GraphQLList(GraphQLInt)), default_value=[[1], None]),
        "filter": GraphQLArgument(FILTER, out_name="sieve"),
        "choice": GraphQLArgument(CHOICE),
        "colour": GraphQLArgument(COLOUR, default_value="green"),
        "plain": GraphQLArgument(PLAIN),
        "odd": GraphQLArgument(ODD),
        "id": GraphQLArgument(GraphQLID),
        "on": GraphQLArgument(GraphQLBoolean),
        "share": GraphQLArgument(GraphQLFloat, default_value=None),
    }


WRAPPERS: Mapping[str, Callable[[Anything], GraphQLOutputType]] = {
    "": lambda t: t,
    "Sure": GraphQLNonNull,
    "List": GraphQLList,
    "ListSure": lambda t: GraphQLNonNull(GraphQLList(t)),
    "SureList": lambda t: GraphQLList(GraphQLNonNull(t)),
    "SureListSure": lambda t: GraphQLNonNull(GraphQLList(GraphQLNonNull(t))),
    "Rows": lambda t: GraphQLList(GraphQLNonNull(GraphQLList(GraphQLNonNull(t)))),
    "RowsSure": lambda t: GraphQLNonNull(GraphQLList(GraphQLList(t))),
}


def _fields(*types: Anything) -> dict[str, GraphQLField]:
    """A field of each shape of each type, resolved in each way."""
    ways = (None, resolve, resolve, resolve_later)
    made = {
        f"{type_.name.lower()}{suffix}": wrap(type_)
        for suffix, wrap in WRAPPERS.items()
        for type_ in types
        if not (suffix.startswith("Rows") and is_leaf_type(type_) and type_ is not COLOUR)
    }
    return {
        name: GraphQLField(
            type_,
            _arguments() if get_named_type(type_) is GraphQLString else None,
            ways[crc32(name.encode()) % len(ways)],
        )
        for name, type_ in made.items()
    }


def _own(*types: Anything) -> dict[str, GraphQLField]:
    return {
        "id": GraphQLField(GraphQLNonNull(GraphQLID)),
        "name": GraphQLField(GraphQLString, {"int": GraphQLArgument(GraphQLInt)}, resolve),
        "nodes": GraphQLField(GraphQLList(GraphQLNonNull(NODE)), resolve=resolve),
        "info": GraphQLField(GraphQLNonNull(GraphQLString), resolve=tell_info),
        **_fields(*types),
    }


NODE: GraphQLInterfaceType = GraphQLInterfaceType(
    "Node",
    lambda: {"id": GraphQLField(GraphQLID), "nodes": GraphQLField(GraphQLList(NODE))},
    resolve_type=resolve_type,
)
NAMED: GraphQLInterfaceType = GraphQLInterfaceType(
    "Named",
    lambda: {
        "id": GraphQLField(GraphQLNonNull(GraphQLID)),
        "nodes": GraphQLField(GraphQLList(NODE)),
        "name": GraphQLField(GraphQLString, {"int": GraphQLArgument(GraphQLInt)}),
        "info": GraphQLField(GraphQLString),
    },
    interfaces=[NODE],
    resolve_type=resolve_type,
)
PERSON: GraphQLObjectType = GraphQLObjectType(
    "Person",
    lambda: _own(GraphQLString, GraphQLInt, NODE, BEING),
    interfaces=[NODE, NAMED],
    is_type_of=is_type_of("Person", later=False),
)
ROBOT: GraphQLObjectType = GraphQLObjectType(
    "Robot",
    lambda: _own(GraphQLString, GraphQLFloat, COLOUR, PERSON),
    interfaces=[NODE, NAMED],
    is_type_of=is_type_of("Robot", later=True),
)
PLACE: GraphQLObjectType = GraphQLObjectType("Place", lambda: _own(ODD, PLAIN, NAMED, PLACE), interfaces=[NODE, NAMED])
BEING: GraphQLUnionType = GraphQLUnionType("Being", [PERSON, ROBOT])
ANYTHING: GraphQLUnionType = GraphQLUnionType("Anything", [PERSON, ROBOT, PLACE], resolve_type=resolve_type)


@cache
def schema() -> GraphQLSchema:
    leaves = (GraphQLString, GraphQLInt, GraphQLBoolean, GraphQLID, ODD, COLOUR)
    composites = (PERSON, ROBOT, PLACE, NODE, NAMED, BEING, ANYTHING)
    fields = {"info": GraphQLField(GraphQLString, resolve=tell_info), **_fields(*leaves, *composites)}
    mutations = {name: GraphQLField(each.type, each.args, each.resolve or resolve) for name, each in fields.items()}
    events = {
        name: GraphQLField(each.type, each.args, each.resolve, subscribe=lambda source, info: None)
        for name, each in fields.items()
    }
    return GraphQLSchema(
        GraphQLObjectType("Query", fields),
        GraphQLObjectType("Mutation", mutations),
        GraphQLObjectType("Subscription", events),
        [PERSON, ROBOT, PLACE],
    )


def root(world: World, kind: str) -> Anything:
    return Thing(world, kind, ())
