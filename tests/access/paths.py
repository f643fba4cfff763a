"""Every way from the root of the schema to an object, as queries that are cheap enough to be asked."""

from collections.abc import Iterator, Mapping

import orjson
from graphql import GraphQLField, get_named_type, is_leaf_type, is_object_type

from tests.calls import Json
from tests.schema_walk import enum_variants, is_connection, node_types, root_fields, selection
from tests.test_secrecy import ARGUMENTS

FIRST, INNER = 12, 6  # more than a town has, and within what a document may cost


def inner(type_name: str, name: str, field: GraphQLField) -> str:
    del type_name, name
    return f"(first: {INNER})" if "first" in field.args else ""


def below(field: GraphQLField) -> Iterator[str]:
    """Everything that a field leads to, two objects further, each by itself."""
    returned = get_named_type(field.type)
    if is_connection(field):
        assert is_object_type(returned)
        edge = get_named_type(returned.fields["edges"].type)
        assert is_object_type(edge)
        own = " ".join(name for name, each in edge.fields.items() if is_leaf_type(get_named_type(each.type)))
        page = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
        for part in below(edge.fields["node"]):
            yield f"{{ edges {{ {own} node {part} }} {page} }}"
        yield f"{{ nodes {selection(get_named_type(returned.fields['nodes'].type), 0, inner)} }}"
        return
    yield selection(returned, 0, inner)
    if is_object_type(returned):
        for name, each in returned.fields.items():
            type_ = get_named_type(each.type)
            if is_leaf_type(type_):
                continue
            levels = 2 if is_connection(each) else 1
            own = "__typename id " if "id" in returned.fields else ""
            yield f"{{ {own}{name}{inner(returned.name, name, each)} {selection(type_, levels, inner)} }}"


def from_the_root(theme: str) -> Iterator[str]:
    """Every query but those by id, in every order and window."""
    for name, field in root_fields("query").items():
        if name in {"node", "nodes"}:
            continue
        needed = ARGUMENTS[name].replace("{theme}", theme) if name in ARGUMENTS else ""
        for variant in ["", *enum_variants(field)]:
            given = " ".join(filter(None, [needed, variant, f"first: {FIRST}" if "first" in field.args else ""]))
            for part in below(field) if not variant else [next(below(field))]:
                yield f"{{ {name}{f'({given})' if given else ''} {part} }}"


def by_id(ids: Mapping[str, list[str]]) -> Iterator[str]:
    for type_ in node_types():
        asked = f"nodes(ids: {orjson.dumps(ids[type_.name]).decode()})"
        yield f"{{ {asked} {{ ... on {type_.name} {selection(type_, 0, inner)} }} }}"
        for name, field in type_.fields.items():
            if not is_leaf_type(get_named_type(field.type)):
                for part in below(field):
                    leads = f"{name}{inner(type_.name, name, field)} {part}"
                    yield f"{{ {asked} {{ ... on {type_.name} {{ {leads} }} }} }}"


def objects(value: object) -> Iterator[Json]:
    """Every object with an id in an answer."""
    if isinstance(value, dict):
        if "id" in value and "__typename" in value:
            yield value
        for each in value.values():
            yield from objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from objects(each)


def leaves(found: Json) -> Iterator[tuple[str, object]]:
    """What an object says of itself, other objects by their ids. Pages are left out: they depend on what was asked."""
    for name, value in found.items():
        short = _short(value)
        if not (isinstance(short, dict) and str(short.get("__typename")).endswith("Connection")):
            yield name, short


def _short(value: object) -> object:
    if isinstance(value, list):
        return [_short(each) for each in value]
    return value.get("id", value) if isinstance(value, dict) else value
