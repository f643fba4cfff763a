"""Strawberry's definitions as hints for the planner: resolvers called straight, arguments converted once a level.

Strawberry's own wrapper makes an info, converts the arguments and looks for extensions anew for each object. Fields
with extensions, and whatever else only that wrapper can do, get no hint and go through it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from graphql import GraphQLObjectType
from strawberry import Schema
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_arguments
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from backend.planned import Attribute, Batch, Each, Hint, Hints
from backend.planned.hints import Arguments, Info, Source

BATCH = "batch"
"""Key of a field's `metadata` under which its batch function is found: sources, info and arguments in, values out."""


def hints(schema: Schema) -> Hints:
    """Hints for the fields of a strawberry schema."""

    def hint(parent_type: GraphQLObjectType, field_name: str) -> Hint | None:
        definition = parent_type.fields.get(field_name)
        field = definition and definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        if not isinstance(field, StrawberryField) or field.is_subscription or field.extensions:
            return None
        if schema.config.default_resolver is not getattr:
            return None
        if field.is_basic_field:
            return Attribute(field.python_name)
        if BATCH in field.metadata:
            return Batch(partial(_batch, schema, field, field.metadata[BATCH]))
        return Each(partial(_bind, schema, field)) if field.base_resolver else None

    return hint


def classes(schema: Schema) -> Mapping[str, frozenset[type]]:
    """The class of each object type."""
    found = {}
    for name, type_ in schema._schema.type_map.items():  # strawberry gives no public way to it
        definition = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        if isinstance(type_, GraphQLObjectType) and isinstance(definition, StrawberryObjectDefinition):
            found[name] = frozenset({definition.origin})
    return found


def _bind(schema: Schema, field: StrawberryField, info: Info, arguments: Arguments) -> Callable[[Source], object]:
    resolver = field.base_resolver
    assert resolver is not None  # noqa: S101 # else there is no such hint
    given = _given(schema, field, info, arguments)
    if resolver.info_parameter:
        given[resolver.info_parameter.name] = _own_info(schema, field, info)
    function: Callable[..., object] = resolver
    if callable(resolver.wrapped_func):
        function = resolver.wrapped_func
    as_keywords = [each.name for each in (resolver.parent_parameter, resolver.root_parameter) if each]
    if as_keywords:
        return lambda source: function(**given, **dict.fromkeys(as_keywords, source))
    if not resolver.self_parameter:
        return lambda source: function(**given)
    return partial(function, **given) if given else function


def _batch(
    schema: Schema,
    field: StrawberryField,
    function: Callable[..., Sequence[object] | Awaitable[Sequence[object]]],
    sources: Sequence[Source],
    info: Info,
    arguments: Arguments,
) -> Sequence[object] | Awaitable[Sequence[object]]:
    return function(sources, _own_info(schema, field, info), **_given(schema, field, info, arguments))


def _given(schema: Schema, field: StrawberryField, info: Info, arguments: Arguments) -> dict[str, Any]:  # Any: inputs
    if not field.arguments:
        return {}
    return convert_arguments(
        dict(arguments),
        field.arguments,
        scalar_registry=schema.schema_converter.scalar_registry,
        config=schema.config,
        info=_own_info(schema, field, info),
    )


def _own_info(schema: Schema, field: StrawberryField, info: Info) -> Any:  # Any: an Info of whatever context
    return schema.config.info_class(_raw_info=info, _field=field)
