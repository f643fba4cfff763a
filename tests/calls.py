"""A valid call of everything that takes arguments, and every place in it where something else could stand."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias
from uuid import uuid4

from graphql import (
    GraphQLField,
    GraphQLInputType,
    GraphQLNamedType,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_enum_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    is_required_input_field,
)

from tests.schema_walk import object_types, reach, selection

Json: TypeAlias = dict[str, Any]  # Any: what variables hold
Path: TypeAlias = tuple[str | int, ...]

# What valid text is where any text won't do.
TEXTS = {"text": "Penkki puistoon", "search": "penkki", "title": "Lisää penkkejä", "body": "Niille voi istua."}
TEXTS |= {"email": "aino@example.fi"}
# What a valid call takes beside what the schema requires: one of several.
NEEDED = {"CompleteLoginInput": ("code",)}
ROOTS = {"Query": "query", "Mutation": "mutation", "Subscription": "subscription"}


@dataclass(frozen=True)
class Call:
    """A field that takes arguments, with a document that gives it every one of them as a variable."""

    type_name: str
    name: str
    field: GraphQLField

    @property
    def place(self) -> str:
        return f"{self.type_name}.{self.name}"

    @property
    def kind(self) -> str:
        return ROOTS.get(self.type_name, "query")

    @property
    def document(self) -> str:
        given = " ".join(f"${name}: {argument.type}" for name, argument in self.field.args.items())
        passed = " ".join(f"{name}: ${name}" for name in self.field.args)
        return self._wrapped(f"{self.name}({passed}) {selected(get_named_type(self.field.type))}", given)

    def literal(self, arguments: str) -> str:
        """The same document with arguments as text in it."""
        return self._wrapped(f"{self.name}({arguments}) {selected(get_named_type(self.field.type))}", "")

    def _wrapped(self, inner: str, given: str) -> str:
        if self.kind == "query":
            inner = reach(self.type_name, "$these", inner)
        given = f"{given} $these: [ID!]!" if "$these" in inner else given
        return f"{self.kind} ({given}) {{ {inner} }}" if given else f"{self.kind} {{ {inner} }}"

    def variables(self, ids: Mapping[str, str]) -> Json:
        """Valid ones, of the arguments that can't be null; `ids` by the names of arguments and of types."""
        found = {
            name: example(argument.type, name, ids)
            for name, argument in self.field.args.items()
            if not is_nullable(argument.type)
        }
        return found | ({"these": [ids[self.type_name]]} if "$these" in self.document else {})

    def places(self) -> Iterator[tuple[Path, GraphQLInputType]]:
        """Every scalar or enumeration that can be sent, and every object and list around it."""
        for name, argument in self.field.args.items():
            yield from _places((name,), argument.type)

    def put(self, variables: Json, path: Path, value: object, ids: Mapping[str, str]) -> Json:
        """The variables with something else in one place; objects on the way there get what they require."""
        changed = deepcopy(variables)
        holder: Any = changed  # Any: an object or a list on the way
        type_: GraphQLInputType = self.field.args[str(path[0])].type
        for step, after in pairwise(path):
            if isinstance(holder, dict) and holder.get(str(step)) is None:
                holder[str(step)] = [] if isinstance(after, int) else example(type_, str(step), ids)
            holder = holder[step]
            inner = get_nullable_type(type_)
            if is_list_type(inner):
                type_ = inner.of_type
            elif is_input_object_type(inner):
                type_ = inner.fields[str(after)].type
        if isinstance(holder, list):
            holder[:] = [value]
        else:
            holder[path[-1]] = value
        return changed


def _places(path: Path, type_: GraphQLInputType) -> Iterator[tuple[Path, GraphQLInputType]]:
    yield path, type_
    inner = get_nullable_type(type_)
    if is_list_type(inner):
        yield from _places((*path, 0), inner.of_type)
    elif is_input_object_type(inner):
        for name, field in inner.fields.items():
            yield from _places((*path, name), field.type)


def calls() -> list[Call]:
    """Of every type that a client gets to."""
    return [
        Call(type_.name, name, field) for type_ in object_types() for name, field in type_.fields.items() if field.args
    ]


def selected(type_: GraphQLNamedType) -> str:
    if is_leaf_type(type_):
        return ""
    if is_object_type(type_) and "errors" in type_.fields:
        return "{ __typename errors { code field } }"
    if is_abstract_type(type_):
        return "{ __typename }"
    return selection(type_, 0, lambda type_name, name, field: "")


def example(type_: GraphQLInputType, name: str, ids: Mapping[str, str]) -> Any:  # Any: JSON
    """A valid value. A new kind of id has to be given, or this raises KeyError."""
    inner = get_nullable_type(type_)
    if is_list_type(inner):
        return [example(inner.of_type, name, ids)]
    if is_input_object_type(inner):
        needed = NEEDED.get(inner.name, ())
        required = {n: field for n, field in inner.fields.items() if is_required_input_field(field) or n in needed}
        named = {n: f"{inner.name}.{n}" if f"{inner.name}.{n}" in ids else n for n in required}
        return {n: example(field.type, named[n], ids) for n, field in required.items()}
    if is_enum_type(inner):
        return ids.get(name) or next(iter(inner.values))
    scalar = get_named_type(inner).name
    if scalar == "ID" or name in ids:
        return ids[name]
    values = {"Int": 1, "Float": 1.5, "Boolean": True, "Locale": "fi", "DateTime": "2036-01-01T00:00:00Z"}
    values |= {"String": str(uuid4()) if name == "idempotencyKey" else TEXTS.get(name, "Teksti")}
    return values[scalar]


def is_nullable(type_: GraphQLInputType) -> bool:
    return not is_non_null_type(type_)
