"""The signed-in caller."""

from typing import Annotated

import strawberry

from backend.context import Info
from backend.db.residents import ResidentRow
from backend.schema.enums import IdentityStrength, Role
from backend.schema.fields import field
from backend.schema.follows import FollowConnection
from backend.schema.groups import GroupConnection
from backend.schema.ideas import IdeaConnection
from backend.schema.municipalities import Official, official
from backend.schema.notifications import NotificationConnection
from backend.schema.pages import After, First
from backend.schema.residents import Resident, resident

UnreadOnly = Annotated[bool, strawberry.argument(description="Only those not yet read.")]


@strawberry.type(description="The signed-in caller, with what only the caller may see.")
class Viewer:
    row: strawberry.Private[ResidentRow]
    resident: Resident = strawberry.field(description="The caller as others see them.")
    strength: IdentityStrength = strawberry.field(description="How well the caller is identified.")
    roles: list[Role] = strawberry.field(description="What the caller may do.")

    @field("The post the caller holds; null for everybody but officials.")
    async def official(self, info: Info) -> Official | None:
        if self.row.official_id is None:
            return None
        row = await info.context.official(self.row.official_id)
        return official(info, row) if row else None

    @field("Groups the caller is in or asked to join, the newest group first.")
    async def groups(self, info: Info, first: First = None, after: After = None) -> GroupConnection | None:
        from backend.resolvers.groups import viewer_groups

        return await viewer_groups(info, first=first, after=after)

    @field("Ideas the caller threw, withdrawn and hidden ones too, newest first.")
    async def ideas(self, info: Info, first: First = None, after: After = None) -> IdeaConnection | None:
        from backend.resolvers.ideas import viewer_ideas

        return await viewer_ideas(info, first=first, after=after)

    @field("Listed ideas the caller's vote stands for, the newest idea first.")
    async def votes(self, info: Info, first: First = None, after: After = None) -> IdeaConnection | None:
        from backend.resolvers.ideas import viewer_votes

        return await viewer_votes(info, first=first, after=after)

    @field("What the caller follows, newest follow first.")
    async def follows(self, info: Info, first: First = None, after: After = None) -> FollowConnection | None:
        from backend.resolvers.follows import follows_page

        return await follows_page(info, first=first, after=after)

    @field("What happened in what the caller follows, newest first.")
    async def notifications(
        self, info: Info, first: First = None, after: After = None, unread_only: UnreadOnly = False
    ) -> NotificationConnection | None:
        from backend.resolvers.notifications import notifications_page

        return await notifications_page(info, first=first, after=after, unread_only=unread_only)

    @field("How many notifications are not yet read.")
    async def unread_count(self, info: Info) -> int:
        from backend.resolvers.notifications import unread_count

        return await unread_count(info)


def viewer(row: ResidentRow) -> Viewer:
    held = {"RESIDENT", *row.roles}
    return Viewer(
        row=row,
        resident=resident(row.id, row.display_name),
        strength=IdentityStrength(row.strength),
        roles=[role for role in Role if role in held],
    )
