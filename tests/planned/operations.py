"""Valid operations of any schema, drawn at random: what a client could write, and much that none would.

A response key means one thing in a whole document (the same field, arguments and shape), so fields that meet are always
mergeable; variables are declared where they are first used. Hence next to every document is valid by construction.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLSchema,
    OperationType,
    Undefined,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
    is_scalar_type,
    is_union_type,
)
from graphql.utilities import do_types_overlap, is_type_sub_type_of
from hypothesis import strategies as st

Json: TypeAlias = Any  # Any: what JSON holds
Below: TypeAlias = Callable[[int], int]
"""A number from 0 up to a bound, itself not included. The smaller, the simpler what comes of it."""
Examples: TypeAlias = Callable[[str, str], Sequence[Json]]
"""Valid values of a scalar, by its name and its place ("Query.idea.id", "SubmitIdeaInput.title")."""

SCALARS: Mapping[str, Sequence[Json]] = {
    "Int": (0, 1, -7, 2**31 - 1),
    "Float": (0.5, 0, -1e300, 3),
    "String": ("", "a", 'ä"\\\n', "true"),
    "Boolean": (True, False),
    "ID": ("1", "x", 7),
}
ALIASES = ("a", "b", "id", "name", "typename")


def usual(scalar: str, place: str) -> Sequence[Json]:
    del place
    return SCALARS[scalar]


@dataclass(frozen=True)
class Generated:
    text: str
    name: str | None
    variables: dict[str, Json]


@dataclass(frozen=True)
class _Variable:
    name: str
    type: GraphQLInputType
    default: str | None
    place: str

    def fits(self, type_: GraphQLInputType, has_default: bool, schema: GraphQLSchema) -> bool:
        """Whether it may stand where this type is asked for: the specification's AreTypesCompatible."""
        if is_non_null_type(type_) and not is_non_null_type(self.type):
            excused = has_default or (self.default is not None and self.default != "null")
            return excused and is_type_sub_type_of(schema, self.type, type_.of_type)
        return is_type_sub_type_of(schema, self.type, type_)


def operations(
    schema: GraphQLSchema, kind: OperationType = OperationType.QUERY, *, examples: Examples = usual, levels: int = 3
) -> st.SearchStrategy[Generated]:
    @st.composite
    def drawn(draw: st.DrawFn) -> Generated:
        return write_operation(schema, kind, lambda bound: draw(_below(bound)), examples=examples, levels=levels)

    return drawn()


@cache
def _below(bound: int) -> st.SearchStrategy[int]:
    return st.integers(0, bound - 1)


def write_operation(
    schema: GraphQLSchema, kind: OperationType, below: Below, *, examples: Examples = usual, levels: int = 3
) -> Generated:
    """`levels`: how many objects deep, not counting those a fragment adds."""
    return _Writer(schema, below, examples).operation(kind, levels)


@dataclass
class _Writer:
    schema: GraphQLSchema
    below: Below
    examples: Examples
    keys: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    written: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    variables: list[_Variable] = field(default_factory=list)
    values: dict[str, Json] = field(default_factory=dict)
    fragments: dict[str, tuple[GraphQLCompositeType, str]] = field(default_factory=dict)
    open_fragments: int = 0

    def __post_init__(self) -> None:
        named = self.schema.type_map.items()
        self.one_ofs = tuple(f"{name}." for name, type_ in named if is_input_object_type(type_) and type_.is_one_of)

    def chance(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent

    def one(self, items: Sequence[Any]) -> Any:  # Any: one of them
        return items[self.below(len(items))]

    def operation(self, kind: OperationType, levels: int) -> Generated:
        root = self.schema.get_root_type(kind)
        assert root
        if kind is OperationType.SUBSCRIPTION:
            name = self.one(list(root.fields))
            selections = f"{{ {self.field(root, name, levels, directives=False)} }}"
        else:
            selections = self.selection_set(root, levels)
        given = " ".join(
            f"${each.name}: {each.type}" + (f" = {each.default}" if each.default is not None else "")
            for each in self.variables
        )
        other = self.chance(10)
        named = "Drawn" if other or self.chance(30) else None
        head = f"{kind.value} {named or ''}{f'({given})' if given else ''}"
        parts = [f"{head} {selections}"]
        parts += [f"fragment {name} on {type_} {text}" for name, (type_, text) in self.fragments.items()]
        if other:
            parts.append("query Other { __typename }")
        return Generated("\n".join(parts), named, self.values)

    def selection_set(self, type_: GraphQLCompositeType, levels: int) -> str:
        count = 1 + self.below(5)
        return "{ " + " ".join(self.selection(type_, levels) for _ in range(count)) + " }"

    def selection(self, type_: GraphQLCompositeType, levels: int) -> str:
        way = self.below(100)
        if levels > 0 and way >= 92:
            return f"... {self.directives()}{self.selection_set(type_, levels - 1)}"
        if levels > 0 and way >= 82:
            on = self.one(self.overlapping(type_))
            return f"... on {on} {self.directives()}{self.selection_set(on, levels - 1)}"
        if levels > 0 and way >= 70:
            return f"...{self.fragment(type_, levels - 1)} {self.directives()}"
        return self.field(type_, self.field_name(type_, levels), levels)

    def overlapping(self, type_: GraphQLCompositeType) -> list[GraphQLCompositeType]:
        return _overlapping(self.schema, type_)

    def fragment(self, type_: GraphQLCompositeType, levels: int) -> str:
        known = [name for name, (on, _) in self.fragments.items() if do_types_overlap(self.schema, on, type_)]
        if known and self.chance(50):
            found: str = self.one(known)
            return found
        on = self.one(self.overlapping(type_))
        self.open_fragments += 1
        name = f"F{len(self.fragments) + self.open_fragments}"
        text = self.selection_set(on, levels)
        self.open_fragments -= 1
        while name in self.fragments:
            name += "x"
        self.fragments[name] = (on, text)
        return name

    def field_name(self, type_: GraphQLCompositeType, levels: int) -> str:
        if is_union_type(type_):
            return "__typename"
        names = _leaves(self.schema, type_.name) if levels <= 0 else tuple(type_.fields)  # type: ignore[union-attr] # no union here
        return names[self.below(len(names))] if names and not self.chance(5) else "__typename"

    def field(self, type_: GraphQLCompositeType, name: str, levels: int, *, directives: bool = True) -> str:
        """A field, or one that was written before on this type, to be merged with it."""
        again = self.written.setdefault(type_.name, [])
        if again and directives and self.chance(25):
            name, arguments = self.one(again)
            if (
                levels <= 0
                and name != "__typename"
                and is_composite_type(get_named_type(self.field_def(type_, name).type))
            ):
                name, arguments = "__typename", ""
        else:
            arguments = "" if name == "__typename" else self.arguments(f"{type_}.{name}", self.field_def(type_, name))
            again.append((name, arguments))
        returned = None if name == "__typename" else self.field_def(type_, name).type
        key = self.key(name, arguments, _shape(returned) if returned else "String!")
        alias = "" if key == name else f"{key}: "
        below = get_named_type(returned) if returned else None
        inner = self.selection_set(below, levels - 1) if below and is_composite_type(below) else ""
        return f"{alias}{name}{arguments} {self.directives() if directives else ''}{inner}"

    def field_def(self, type_: GraphQLCompositeType, name: str) -> GraphQLField:
        found = self.schema.get_field(type_, name)
        assert found
        return found

    def key(self, name: str, arguments: str, shape: str) -> str:
        """A response key that nothing else has."""
        meaning = (name, arguments, shape)
        wished = self.one(ALIASES) if self.chance(15) else name
        number = 0
        while self.keys.setdefault(wished, meaning) != meaning:
            number += 1
            wished = f"{name}_{number}"
        return wished

    def directives(self) -> str:
        if not self.chance(12):
            return ""
        names = self.one((["include"], ["skip"], ["skip", "include"]))
        return "".join(f"@{name}(if: {self.literal(GraphQLNonNull(GraphQLBoolean), 'directive')}) " for name in names)

    def arguments(self, place: str, field: GraphQLField) -> str:
        given = [
            f"{name}: {self.literal(argument.type, f'{place}.{name}', has_default=_has_default(argument))}"
            for name, argument in field.args.items()
            if is_required_argument(argument) or self.chance(35)
        ]
        return f"({', '.join(given)})" if given else ""

    def literal(
        self,
        type_: GraphQLInputType,
        place: str,
        *,
        has_default: bool = False,
        constant: bool = False,
        deep: int = 3,
    ) -> str:
        if not constant and self.chance(30):
            return f"${self.variable(type_, place, has_default)}"
        if not is_non_null_type(type_) and self.chance(12):
            return "null"
        inner = get_nullable_type(type_)
        if is_list_type(inner):
            if self.chance(15) and is_leaf_type(get_nullable_type(inner.of_type)):  # stands for a list of one
                return self.literal(_sure(inner.of_type), place, constant=True)
            items = [self.literal(inner.of_type, place, constant=constant, deep=deep - 1) for _ in range(self.below(4))]
            return f"[{', '.join(items)}]"
        if is_input_object_type(inner):
            return self.object(inner, constant, deep)
        named = get_named_type(inner)
        return str(self.one(list(inner.values))) if is_enum_type(inner) else _printed(self.scalar(named.name, place))

    def object(self, type_: GraphQLInputObjectType, constant: bool, deep: int) -> str:
        parts = []
        for name, each in self.input_fields(type_, deep).items():
            asked = _sure(each.type) if type_.is_one_of else each.type
            default = _has_default(each)
            text = self.literal(asked, f"{type_}.{name}", has_default=default, constant=constant, deep=deep - 1)
            parts.append(f"{name}: {text}")
        return "{" + ", ".join(parts) + "}"

    def scalar(self, name: str, place: str) -> Json:
        return self.one(self.examples(name, place))

    def input_fields(self, type_: GraphQLInputObjectType, deep: int) -> dict[str, GraphQLInputField]:
        if type_.is_one_of:
            leaves = {n: f for n, f in type_.fields.items() if not is_input_object_type(get_named_type(f.type))}
            name = self.one(list(type_.fields if deep > 0 else leaves))
            return {name: type_.fields[name]}
        return {
            name: each
            for name, each in type_.fields.items()
            if is_required_input_field(each)
            or (self.chance(35) and (deep > 0 or not is_input_object_type(get_named_type(each.type))))
        }

    def variable(self, type_: GraphQLInputType, place: str, has_default: bool) -> str:
        fitting = [
            each
            for each in self.variables
            if each.fits(type_, has_default, self.schema) and self.interchangeable(type_, place, each.place)
        ]
        if fitting and self.chance(50):
            known: str = self.one(fitting).name
            return known
        declared, default = type_, None
        if not is_non_null_type(type_):
            declared = _sure(type_) if self.chance(20) else type_
        elif has_default and self.chance(50):
            declared = type_.of_type
        if self.chance(30):
            default = self.literal(declared, place, constant=True)
        elif is_non_null_type(declared) and not place.startswith(self.one_ofs) and self.chance(30):
            default = self.literal(declared, place, constant=True)
            declared = declared.of_type
        name = f"v{len(self.variables)}"
        self.variables.append(_Variable(name, declared, default, place))
        optional = default is not None or not is_non_null_type(declared)
        if not (optional and self.chance(25)):
            self.values[name] = self.json(declared, place)
        return name

    def interchangeable(self, type_: GraphQLInputType, place: str, other: str) -> bool:
        """Ids of ideas are no ids of groups."""
        named = get_named_type(type_)
        if is_scalar_type(named):
            return self.examples(named.name, place) == self.examples(named.name, other)
        return True

    def json(self, type_: GraphQLInputType, place: str, deep: int = 3) -> Json:
        """A value of a variable; once in two hundred one that doesn't fit."""
        if self.below(200) == 199:
            return {"unfit": [None]}
        if not is_non_null_type(type_) and self.chance(15):
            return None
        inner = get_nullable_type(type_)
        if is_list_type(inner):
            return [self.json(inner.of_type, place, deep - 1) for _ in range(self.below(4))]
        if is_input_object_type(inner):
            return {
                name: self.json(
                    _sure(each.type) if inner.is_one_of else each.type,
                    f"{inner}.{name}",
                    deep - 1,
                )
                for name, each in self.input_fields(inner, deep).items()
            }
        if is_enum_type(inner):
            return self.one(list(inner.values))
        return self.scalar(get_named_type(inner).name, place)


def _sure(type_: GraphQLInputType) -> GraphQLInputType:
    """The same, and not null."""
    inner: Any = get_nullable_type(type_)  # Any: graphql-core forgets that it is an input type
    return GraphQLNonNull(inner)


def _has_default(given: GraphQLArgument | GraphQLInputField) -> bool:
    return given.default is not None or given.default_value is not Undefined


def _printed(value: Json) -> str:
    """A value as GraphQL text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_printed(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_printed, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _shape(type_: GraphQLOutputType) -> str:
    """What must be the same of two fields that share a response key."""
    named = get_named_type(type_)
    return str(type_) if is_leaf_type(named) else str(type_).replace(named.name, "{}")


@cache
def _overlapping(schema: GraphQLSchema, type_: GraphQLCompositeType) -> list[GraphQLCompositeType]:
    return [
        each
        for name, each in schema.type_map.items()
        if is_composite_type(each) and not name.startswith("__") and do_types_overlap(schema, each, type_)
    ]


@cache
def _leaves(schema: GraphQLSchema, type_name: str) -> tuple[str, ...]:
    fields: dict[str, GraphQLField] = getattr(schema.type_map[type_name], "fields", {})  # a union has none
    return tuple(name for name, each in fields.items() if is_leaf_type(get_named_type(each.type)))
