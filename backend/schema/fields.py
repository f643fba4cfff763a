"""How a method becomes a field."""

from collections.abc import Callable
from typing import TypeVar, cast

import strawberry

Method = TypeVar("Method", bound=Callable[..., object])


def field(description: str) -> Callable[[Method], Method]:
    """`strawberry.field` as a decorator that keeps the method's type, and will not go without a description."""

    def decorate(method: Method) -> Method:
        return cast("Method", strawberry.field(resolver=method, description=description))  # cast: what the class reads

    return decorate
