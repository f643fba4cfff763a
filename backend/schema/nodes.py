"""The interfaces, and ids."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import strawberry

from backend.context import Info
from backend.fields import batched
from backend.ids import global_id

ID = "Global, opaque and the same for ever."


@strawberry.interface(description="Anything that has an id of its own and can be read again by it.")
class Node:
    id: strawberry.ID = strawberry.field(description=ID)


@strawberry.interface(description="Somebody who speaks in public: a resident or a group.")
class Author:
    id: strawberry.ID = strawberry.field(description=ID)
    display_name: str = strawberry.field(description="The name shown in public.")


@strawberry.interface(description="What can be followed: ideas now; groups, themes, districts and rounds come later.")
class Followable:
    id: strawberry.ID = strawberry.field(description=ID)

    @batched("Whether the caller follows it; false for callers without an account.")
    @staticmethod
    async def viewer_follows(subjects: Sequence[Any], info: Info) -> list[bool]:  # Any: each says it for its own type
        raise TypeError("every followable says this for itself")


def node_id(type_name: str, id: UUID) -> strawberry.ID:
    return strawberry.ID(global_id(type_name, id))
