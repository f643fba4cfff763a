"""How the fields of strawberry types are written here, and what the planner is told of them.

Strawberry's own way makes an info, converts arguments and looks for extensions anew for each object of a list. The
planner calls resolvers straight, with arguments converted once a level. Fields with extensions, and whatever else only
strawberry's way can do, get no hint and take it.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import MISSING
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar, cast, get_args

import strawberry
from graphql import GraphQLObjectType
from strawberry.scalars import is_scalar
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_argument
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    has_object_definition,
)
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.field import StrawberryField
from strawberry.types.lazy_type import LazyType

from backend.planned import Attribute, Batch, Each, Hint, Hints
from backend.planned.hints import Arguments, Info, Source

Method = TypeVar("Method", bound=Callable[..., object])
Batched = Callable[..., Sequence[object] | Awaitable[Sequence[object]]]

OwnInfo: TypeAlias = strawberry.Info[Any, Any]  # Any: of whatever context
ReadArguments: TypeAlias = Callable[[Arguments, OwnInfo], dict[str, Any]]  # Any: inputs of every kind
Convert: TypeAlias = Callable[[Any, OwnInfo], object]  # Any: likewise

_BATCH: Final = "batch"


def field(description: str) -> Callable[[Method], Method]:
    """`strawberry.field` as a decorator that keeps the method's type, and will not go without a description."""

    def decorate(method: Method) -> Method:
        made = strawberry.field(resolver=method, description=description)
        return cast("Method", made)  # cast: for whoever reads the attribute, it is the method

    return decorate


def batched(description: str) -> Callable[[Method], Method]:
    """A field that is read for many objects at once, by a static method: a list of objects, then info and arguments in;
    out comes a list with a value, or an exception, for each object in turn. The field's type is that of an item.
    """

    def decorate(method: Method) -> Method:
        function: Batched = inspect.unwrap(method)
        signature = inspect.signature(function)
        (item,) = get_args(signature.return_annotation)

        async def resolve(self: object, *args: object, **kwargs: object) -> object:
            """The same for one object, where graphql-core executes."""
            many = function([self], *args, **kwargs)
            [value] = await many if inspect.isawaitable(many) else many
            return value

        resolve.__name__, resolve.__module__ = function.__name__, function.__module__
        one = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        others = list(signature.parameters.values())[1:]
        signed: Any = resolve  # Any: mypy doesn't know that functions may say what their signature is
        signed.__signature__ = inspect.Signature([one, *others], return_annotation=item)
        made = strawberry.field(resolver=resolve, description=description, metadata={_BATCH: function})
        return cast("Method", made)  # cast: as above

    return decorate


class RowField(StrawberryField):
    """Reads the attribute of its own name from the object's `row`."""

    def __init__(self, description: str | None, convert: Callable[[Any], object] | None) -> None:  # Any: of the row
        super().__init__(description=description)
        self.init = self.repr = self.compare = False  # nobody fills it in
        self.convert = convert

    def read(self, source: Any) -> object:  # Any: an object with a row
        value = getattr(source.row, self.python_name)
        return value if self.convert is None or value is None else self.convert(value)

    def get_result(self, source: Any, *_: object, **__: object) -> object:  # Any: as above
        return self.read(source)


def from_row(description: str, convert: Callable[[Any], object] | None = None) -> Any:  # Any: it stands for the value
    """A field that is the attribute of the same name of the object's `row`; `convert` makes it what the type says."""
    return RowField(description, convert)


def hints(schema: strawberry.Schema) -> Hints:
    """Hints for the fields of a strawberry schema."""

    def hint(parent_type: GraphQLObjectType, field_name: str) -> Hint | None:
        definition = parent_type.fields.get(field_name)
        field = definition and definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        if not isinstance(field, StrawberryField) or field.is_subscription or field.extensions:
            return None
        if isinstance(field, RowField):
            return Attribute(f"row.{field.python_name}") if field.convert is None else _each(field.read)
        if field.is_basic_field:
            return Attribute(field.python_name) if field.default_resolver is getattr else None
        if _BATCH in field.metadata:
            return Batch(partial(_batch, schema, field, _arguments(schema, field)))
        return Each(partial(_bind, schema, field, _arguments(schema, field)))

    return hint


def classes(schema: strawberry.Schema) -> Mapping[str, frozenset[type]]:
    """The class of each object type."""
    found = {}
    for name, type_ in schema._schema.type_map.items():  # strawberry gives no public way to it
        definition = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        if isinstance(type_, GraphQLObjectType) and isinstance(definition, StrawberryObjectDefinition):
            found[name] = frozenset({definition.origin})
    return found


def _each(function: Callable[[Source], object]) -> Each:
    return Each(lambda info, arguments: function)


def _bind(
    schema: strawberry.Schema, field: StrawberryField, read: ReadArguments, info: Info, arguments: Arguments
) -> Callable[[Source], object]:
    resolver = field.base_resolver
    assert resolver is not None  # noqa: S101 # or there would be no such hint
    own_info = schema.config.info_class(_raw_info=info, _field=field)
    given = read(arguments, own_info)
    if resolver.info_parameter:
        given[resolver.info_parameter.name] = own_info
    function: Callable[..., object] = resolver.wrapped_func if callable(resolver.wrapped_func) else resolver
    as_keywords = [each.name for each in (resolver.parent_parameter, resolver.root_parameter) if each]
    if as_keywords:
        return lambda source: function(**given, **dict.fromkeys(as_keywords, source))
    if not resolver.self_parameter:
        return lambda source: function(**given)
    return partial(function, **given) if given else function


def _batch(
    schema: strawberry.Schema,
    field: StrawberryField,
    read: ReadArguments,
    sources: Sequence[Source],
    info: Info,
    arguments: Arguments,
) -> Sequence[object] | Awaitable[Sequence[object]]:
    function: Batched = field.metadata[_BATCH]
    own_info = schema.config.info_class(_raw_info=info, _field=field)
    return function(sources, own_info, **read(arguments, own_info))


def _arguments(schema: strawberry.Schema, field: StrawberryField) -> ReadArguments:
    """What a resolver of the field is given for the arguments of an operation."""
    if not field.arguments:
        return lambda arguments, info: {}
    name_of = schema.config.name_converter.from_argument
    converters = [(name_of(each), str(each.python_name), _converter(schema, each.type)) for each in field.arguments]

    def read(arguments: Arguments, info: OwnInfo) -> dict[str, Any]:  # Any: inputs of every kind
        return {own: convert(arguments[name], info) for name, own, convert in converters if name in arguments}

    return read


def _converter(schema: strawberry.Schema, type_: Any) -> Convert:  # Any: strawberry's types, and classes
    """The same as strawberry's `convert_argument` for a type, put together once."""
    if isinstance(type_, StrawberryOptional) and not isinstance(type_, StrawberryMaybe):
        return _converter(schema, type_.of_type)
    if isinstance(type_, LazyType):
        return _converter(schema, type_.resolve_type())
    registry = schema.schema_converter.scalar_registry
    if isinstance(type_, StrawberryEnumDefinition) or has_enum_definition(type_) or is_scalar(type_, registry):
        return _as_it_is
    if isinstance(type_, StrawberryList):
        return _list_converter(_converter(schema, type_.of_type))
    if has_object_definition(type_) and type_.__strawberry_definition__.from_input is None:
        return _InputConverter(schema, type_)
    return lambda value, info: convert_argument(value, type_, registry, schema.config, info)


def _as_it_is(value: object, info: OwnInfo) -> object:
    del info
    return value


def _list_converter(item: Convert) -> Convert:
    return lambda value, info: (
        value if value is None or value is strawberry.UNSET else [item(each, info) for each in value]
    )


class _InputConverter:
    """Makes an input's dataclass. Its fields are looked up when first needed: inputs may refer to each other."""

    def __init__(self, schema: strawberry.Schema, class_: Any) -> None:  # Any: a class with strawberry's definition
        self._schema = schema
        self._class = class_
        self._fields: list[tuple[str, str, Convert]] | None = None
        self._absent: dict[str, None] = {}

    def __call__(self, value: Any, info: OwnInfo) -> object:  # Any: what graphql-core made of an input object
        if value is None or value is strawberry.UNSET:
            return value
        if self._fields is None:
            self._fields = self._read_fields()
        given: dict[str, object] = dict(self._absent)
        for name, own, convert in self._fields:
            if name in value:
                given[own] = convert(value[name], info)
        return self._class(**given)

    def _read_fields(self) -> list[tuple[str, str, Convert]]:
        definition = self._class.__strawberry_definition__
        name_of = self._schema.config.name_converter.from_field
        for each in definition.fields:
            if each.default_value is MISSING and each.default_factory is MISSING:
                self._absent[each.python_name] = None
        return [
            (name_of(each), each.python_name, _converter(self._schema, each.resolve_type(type_definition=definition)))
            for each in definition.fields
        ]
