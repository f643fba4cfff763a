"""Input values of the usual form, coerced by functions that are put together once a type.

They stand in for graphql-core's own where a value is as clients send it: of exactly the type asked for. Whatever else a
value may be, valid or not, is Unusual, and graphql-core's to judge.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final, TypeAlias

from graphql import (
    GraphQLBoolean,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLString,
    is_leaf_type,
    is_required_input_field,
)
from graphql.pyutils import Undefined
from graphql.utilities.coerce_input_value import coerce_default_value

Value: TypeAlias = Any  # Any: of an input, before and after
Coerce: TypeAlias = Callable[[Value], Value]

CONSTANT: Final = (str, int, float, bool, type(None))
"""Values that nobody can change, so that they may be given to everybody."""


class Unusual(Exception):
    """Not for these functions to judge."""


def coercer(type_: GraphQLInputType) -> Coerce:
    """The function for a type. It raises Unusual."""
    if isinstance(type_, GraphQLNonNull):
        return _sure(coercer(type_.of_type))
    return _nullable(_of_named_or_list(type_))


def _sure(inner: Coerce) -> Coerce:
    def coerce(value: Value) -> Value:
        if value is None:
            raise Unusual
        return inner(value)

    return coerce


def _nullable(inner: Coerce) -> Coerce:
    def coerce(value: Value) -> Value:
        return None if value is None else inner(value)

    return coerce


def _of_named_or_list(type_: GraphQLInputType) -> Coerce:
    if isinstance(type_, GraphQLList):
        return _list(coercer(type_.of_type))
    if isinstance(type_, GraphQLInputObjectType):
        return _unusual if type_.is_one_of else _Object(type_)
    for builtin, python_type in _BUILTIN:
        if type_ is builtin:
            return _exactly(python_type)
    if type_ is GraphQLInt:
        return _int
    if type_ is GraphQLFloat:
        return _float
    assert is_leaf_type(type_)  # noqa: S101 # there is no other kind
    return _leaf(type_.coerce_input_value)


_BUILTIN: Final = ((GraphQLString, str), (GraphQLID, str), (GraphQLBoolean, bool))


def _exactly(python_type: type) -> Coerce:
    def coerce(value: Value) -> Value:
        if type(value) is not python_type:
            raise Unusual
        return value

    return coerce


def _int(value: Value) -> Value:
    if type(value) is not int or not -(2**31) <= value < 2**31:
        raise Unusual
    return value


def _float(value: Value) -> Value:
    if type(value) is not float or not isfinite(value):
        raise Unusual
    return value


def _leaf(own: Coerce) -> Coerce:
    def coerce(value: Value) -> Value:
        try:
            coerced = own(value)
        except Exception as error:
            raise Unusual from error
        if coerced is Undefined:
            raise Unusual
        return coerced

    return coerce


def _list(item: Coerce) -> Coerce:
    def coerce(value: Value) -> Value:
        if type(value) is not list:
            raise Unusual
        return [item(each) for each in value]

    return coerce


def _unusual(value: Value) -> Value:
    del value
    raise Unusual


class _Object:
    """Fields are looked up when first needed: types may refer to each other."""

    def __init__(self, type_: GraphQLInputObjectType) -> None:
        self._type = type_
        self._fields: list[tuple[str, str, Coerce, bool, Value]] | None = None

    def __call__(self, value: Value) -> Value:
        if type(value) is not dict:
            raise Unusual
        if self._fields is None:
            self._fields = [_field(name, field) for name, field in self._type.fields.items()]
        coerced: dict[str, Value] = {}
        found = 0
        for name, out_name, coerce, required, default in self._fields:
            if name in value:
                found += 1
                coerced[out_name] = coerce(value[name])
            elif required:
                raise Unusual
            elif default is not Undefined:
                if not isinstance(default, CONSTANT):
                    raise Unusual
                coerced[out_name] = default
        if found != len(value):
            raise Unusual
        try:
            return self._type.out_type(coerced)
        except Exception as error:
            raise Unusual from error


def _field(name: str, field: GraphQLInputField) -> tuple[str, str, Coerce, bool, Value]:
    required = is_required_input_field(field)
    default = Undefined if required else coerce_default_value(field)
    return name, field.out_name or name, coercer(field.type), required, default


def usual_variables(coercers: Mapping[str, tuple[Coerce, bool]], given: Mapping[str, Value]) -> dict[str, Value]:
    """Variables by name, where all are usual; with each coercer comes whether graphql-core must judge its absence.
    Raises Unusual."""
    coerced = {}
    for name, (coerce, needed) in coercers.items():
        if name in given:
            coerced[name] = coerce(given[name])
        elif needed:
            raise Unusual
    return coerced
