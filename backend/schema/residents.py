"""A resident as others see one: a name, and nothing that leads elsewhere."""

from uuid import UUID

import strawberry

from backend.schema.nodes import Author, Node, node_id
from backend.schema.scalars import Locale


@strawberry.type(description="A resident as others see one. What somebody voted for can't be read from anywhere.")
class Resident(Node, Author):
    pass


@strawberry.input(description="What the caller says of themselves; what is left out or null stays.")
class UpdateProfileInput:
    display_name: str | None = strawberry.field(
        default=None,
        description="The name shown in public: 1 to 60 characters, nobody's who speaks for the municipality.",
    )
    locale: Locale | None = strawberry.field(default=None, description="The language the person reads.")


def resident(id: UUID, display_name: str) -> Resident:
    return Resident(id=node_id("Resident", id), display_name=display_name)
