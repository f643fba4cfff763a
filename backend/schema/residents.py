"""A resident as others see one: a name, and nothing that leads elsewhere."""

from uuid import UUID

import strawberry

from backend.schema.nodes import Author, Node, node_id


@strawberry.type(description="A resident as others see one. What somebody voted for can't be read from anywhere.")
class Resident(Node, Author):
    pass


def resident(id: UUID, display_name: str) -> Resident:
    return Resident(id=node_id("Resident", id), display_name=display_name)
