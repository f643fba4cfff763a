"""How a method becomes a field."""

from collections.abc import Callable
from typing import TypeVar, cast

import strawberry

Method = TypeVar("Method", bound=Callable[..., object])


def field(description: str, *, type: object = None) -> Callable[[Method], Method]:
    """`strawberry.field` as a decorator that keeps the method's type, and will not go without a description.

    `type` is the field's where the method's own says more, as that it may be awaitable.
    """

    def decorate(method: Method) -> Method:
        made = strawberry.field(resolver=method, description=description, graphql_type=type)
        return cast("Method", made)  # cast: for whoever reads the attribute, it is the method

    return decorate
