"""Strawberry's fields, resolved by their hints and by strawberry's own wrappers: the same values."""

import asyncio
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Annotated, Any

import pytest
import strawberry
from graphql import ExecutionResult, GraphQLObjectType, execute, parse, validate

from backend.fields import batched, classes, field, from_row, hints
from backend.planned import Attribute, Batch, Each, Planner


@strawberry.enum
class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@strawberry.input
class Inner:
    number: int
    colour: Colour = Colour.RED


@strawberry.input
class Wanted:
    name: str
    inner: Inner | None = None
    more: list[Inner] = strawberry.field(default_factory=list)
    numbers: list[int | None] | None = strawberry.UNSET
    colour: Colour | None = None
    again: Annotated["Wanted", strawberry.lazy("tests.test_fields")] | None = None


@dataclass
class Row:
    title: str
    colour: str | None


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Thing(Named):
    row: strawberry.Private[Row]
    title: str = from_row("What it is called.")
    colour: Colour | None = from_row("What it looks like.", Colour)

    @field("The name, often.")
    def shout(self, times: int = 2) -> str:
        return self.name.upper() * times

    @field("Later.")
    async def slowly(self, info: strawberry.Info) -> str:
        await asyncio.sleep(0)
        return f"{self.name} {info.field_name} {info.context}"

    @batched("How many are asked together; those named `bad` fail.")
    @staticmethod
    async def together(things: Sequence["Thing"], info: strawberry.Info, add: int = 0) -> list[int | None]:
        values: list[Any] = [
            ValueError("bad") if thing.name == "bad" else len(thing.name) + add for thing in things
        ]  # Any: a value or an exception
        del info
        return values


@strawberry.type
class Query:
    @strawberry.field
    def things(self, names: list[str] = ["a", "bad"]) -> list[Thing]:  # noqa: B006 # a default that must not be shared
        names.append("last")
        return [Thing(name=name, row=Row(name * 2, "red" if name == "a" else None)) for name in names[:-1]]

    @strawberry.field
    def named(self) -> list[Named | None]:
        return [Thing(name="n", row=Row("t", "blue")), None]

    @strawberry.field
    def echo(self, wanted: Wanted, colour: Colour = Colour.BLUE) -> str:
        return f"{wanted!r} {colour!r}"


SCHEMA = strawberry.Schema(Query)
CORE = SCHEMA._schema
PLANNER = Planner(CORE, hints(SCHEMA), classes(SCHEMA))
ECHO = "query($w: Wanted!, $c: Colour! = RED) { echo(wanted: $w, colour: $c) }"


def both(query: str, variables: dict[str, Any]) -> tuple[ExecutionResult, ExecutionResult]:  # Any: JSON
    document = parse(query)
    assert not validate(CORE, document)

    async def run() -> tuple[ExecutionResult, ExecutionResult]:
        expected = execute(CORE, document, context_value="ctx", variable_values=variables)
        planned = PLANNER.plan(document).execute(None, "ctx", variables)
        return (
            await expected if isawaitable(expected) else expected,
            await planned if isawaitable(planned) else planned,
        )

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ things { name title colour shout slowly together } }", {}),
        ('{ things(names: ["x", "bad", "yy"]) { a: shout(times: 3) b: shout together(add: 4) } }', {}),
        ("query($n: [String!]!) { things(names: $n) { name together } }", {"n": ["one"]}),
        ("{ named { __typename name ... on Thing { title colour } } }", {}),
        ('{ echo(wanted: {name: "x", inner: {number: 1}, more: [{number: 2, colour: BLUE}]}) }', {}),
        (ECHO, {"w": {"name": "x"}}),
        (ECHO, {"w": {"name": "x", "numbers": None, "inner": None, "colour": None}, "c": "BLUE"}),
        (ECHO, {"w": {"name": "x", "numbers": [1, None, 3], "inner": {"number": 5}, "colour": "BLUE"}}),
        (ECHO, {"w": {"name": "x", "more": {"number": 1}}}),  # one item stands for a list
        (ECHO, {"w": {"name": "x", "again": {"name": "y", "again": {"name": "z"}}}}),
        (ECHO, {"w": {"name": "x", "inner": {"number": 1.0}}}),
        (ECHO, {"w": {"name": 1}}),
        (ECHO, {"w": {"name": "x", "unknown": 1}}),
        (ECHO, {"w": {"name": "x", "inner": {"number": 2**31}}}),
        (ECHO, {"w": {}, "c": None}),
        (ECHO, {"w": {"name": "x", "colour": "GREEN"}}),
        (ECHO, {}),
    ],
)
def test_hints_give_what_strawberry_gives(query: str, variables: dict[str, Any]) -> None:  # Any: JSON
    expected, planned = both(query, variables)
    assert planned.data == expected.data
    assert sorted((str(e.path), e.message) for e in planned.errors or ()) == sorted(
        (str(e.path), e.message) for e in expected.errors or ()
    )


def test_a_batch_is_called_once_for_a_level() -> None:
    calls = []
    hint = hints(SCHEMA)(CORE.type_map["Thing"], "together")  # type: ignore[arg-type] # it is an object type
    assert isinstance(hint, Batch)
    plan = Planner(
        CORE,
        lambda type_, name: (
            Batch(lambda sources, info, arguments: calls.append(len(sources)) or [1] * len(sources))  # type: ignore[func-returns-value] # None, and so the list
            if name == "together"
            else hints(SCHEMA)(type_, name)
        ),
    ).plan(parse('{ things(names: ["a", "b", "c"]) { together } }'))
    result = plan.execute()
    assert isinstance(result, ExecutionResult)
    assert (result.data, calls) == ({"things": [{"together": 1}] * 3}, [3])


def test_every_field_of_the_house_has_a_hint() -> None:
    """Or it would go through strawberry's wrapper for each object, which nobody would notice but those who wait."""
    from backend.api import schema

    hint = hints(schema)
    for name, type_ in schema._schema.type_map.items():
        if name.startswith("__") or not isinstance(type_, GraphQLObjectType) or name == "Subscription":
            continue
        for field_name in type_.fields:
            assert isinstance(hint(type_, field_name), Attribute | Batch | Each), f"{name}.{field_name}"
