"""Operations made out of the schema, so that a field that is added to it is tested without anybody's doing."""

from collections.abc import Callable, Iterator

from graphql import (
    GraphQLField,
    GraphQLInputType,
    GraphQLNamedType,
    GraphQLObjectType,
    OperationType,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_enum_type,
    is_interface_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
    is_required_argument,
)

from backend.api import schema

SCHEMA = build_schema(schema.as_str())

Arguments = Callable[[str, str, GraphQLField], str]
"""What a field is asked with: "(first: 2)", or nothing. Given the type's name, the field's name and the field."""


def object_types() -> Iterator[GraphQLObjectType]:
    """Every type with fields of its own, roots too, introspection's left out."""
    for name, type_ in SCHEMA.type_map.items():
        if is_object_type(type_) and not name.startswith("__"):
            yield type_


def root_fields(kind: str) -> dict[str, GraphQLField]:
    root = SCHEMA.get_root_type(OperationType(kind))
    assert root
    return dict(root.fields)


def is_connection(field: GraphQLField) -> bool:
    return get_named_type(field.type).name.endswith("Connection")


def is_list_field(field: GraphQLField) -> bool:
    return is_connection(field) or is_list_type(get_nullable_type(field.type))


def rows_of(type_name: str, name: str, field: GraphQLField) -> GraphQLNamedType:
    """What a list field is a list of; of a connection, what its `nodes` are."""
    returned = get_named_type(field.type)
    if not is_connection(field):
        return returned
    assert is_object_type(returned), f"{type_name}.{name}"
    rows: GraphQLNamedType = get_named_type(returned.fields["nodes"].type)
    return rows


def selection(type_: GraphQLNamedType, levels: int, arguments: Arguments, *, lists: bool = True) -> str:
    """Every leaf of a type, and what lies below it, `levels` objects deep; without `lists`, single objects alone."""
    if is_leaf_type(type_):
        return ""
    parts = ["__typename"]
    if is_abstract_type(type_):
        parts += [
            f"... on {possible.name} {selection(possible, levels, arguments, lists=lists)}"
            for possible in SCHEMA.get_possible_types(type_)
        ]
    elif is_object_type(type_):
        for name, field in type_.fields.items():
            below = get_named_type(field.type)
            if is_leaf_type(below):
                parts.append(name + arguments(type_.name, name, field))
            elif levels and (lists or not is_list_field(field)):
                inner = selection(below, levels - 1, arguments, lists=lists)
                parts.append(f"{name}{arguments(type_.name, name, field)} {inner}")
    return "{ " + " ".join(parts) + " }"


def is_node(type_: GraphQLNamedType) -> bool:
    return is_object_type(type_) and any(interface.name == "Node" for interface in type_.interfaces)


def node_types() -> list[GraphQLObjectType]:
    node = SCHEMA.get_type("Node")
    assert is_interface_type(node)
    return list(SCHEMA.get_possible_types(node))


def reach(type_name: str, ids: str, inner: str) -> str:
    """The selection that leads from the root to objects of a type: by their `ids` (as GraphQL text), or the caller."""
    if type_name == "Query":
        return inner
    if type_name == "Viewer":
        return f"viewer {{ {inner} }}"
    type_ = SCHEMA.get_type(type_name)
    assert type_ and is_node(type_), f"{type_name} is no Node: tell tests/schema_walk.py how a client gets to one"
    return f"nodes(ids: {ids}) {{ ... on {type_name} {{ {inner} }} }}"


def enum_variants(field: GraphQLField) -> list[str]:
    """An argument for each value of each enumeration a field can be asked with, e.g. `orderBy: OLDEST`."""
    return [
        f"{name}: {value}"
        for name, argument in field.args.items()
        if is_enum_type(type_ := get_nullable_type(argument.type))
        for value in type_.values
    ]


def required_arguments(field: GraphQLField) -> dict[str, GraphQLInputType]:
    return {name: argument.type for name, argument in field.args.items() if is_required_argument(argument)}
