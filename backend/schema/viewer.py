"""The signed-in caller, with lists that are nobody else's to read: there is one of it, so nothing is batched."""

from typing import Annotated
from uuid import UUID

import strawberry

from backend.context import Info
from backend.db import data_exports, follows, groups, ideas, identities, notifications, passkeys, sessions
from backend.db.ideas import IdeaFilter
from backend.db.pool import acquire
from backend.db.residents import ResidentRow
from backend.fields import field
from backend.schema.enums import IdentityStrength, Role
from backend.schema.errors import ERRORS, UserError
from backend.schema.follows import FollowConnection, follow_connection
from backend.schema.groups import GroupConnection, group_connection
from backend.schema.ideas import IdeaConnection, idea_connection
from backend.schema.municipalities import Official, official
from backend.schema.notifications import NotificationConnection, notification_connection
from backend.schema.pages import After, First, page_request
from backend.schema.passkeys import Passkey, passkey
from backend.schema.personal_data import DataExport
from backend.schema.residents import Resident, resident
from backend.schema.scalars import Locale
from backend.schema.session_list import SessionConnection, session_connection

UnreadOnly = Annotated[bool, strawberry.argument(description="Only those not yet read.")]


@strawberry.type(description="The signed-in caller, with what only the caller may see.")
class Viewer:
    row: strawberry.Private[ResidentRow]
    resident: Resident = strawberry.field(description="The caller as others see them.")
    locale: Locale = strawberry.field(description="The language the caller reads; mail is written in it.")
    strength: IdentityStrength = strawberry.field(description="How well the caller is identified.")
    roles: list[Role] = strawberry.field(description="What the caller may do.")

    @field("Addresses the caller was identified by, for their own eyes.")
    async def emails(self, info: Info) -> list[str]:
        async with acquire(info.context.pool) as conn:
            return await identities.emails(conn, **self._own(info))

    @field("The post the caller holds; null for everybody but officials.")
    async def official(self, info: Info) -> Official | None:
        if self.row.official_id is None:
            return None
        row = await info.context.official(self.row.official_id)
        return official(info, row) if row else None

    @field("By what the caller signs in, oldest first. At most 20; staff alone get them.")
    async def passkeys(self, info: Info) -> list[Passkey]:
        async with acquire(info.context.pool) as conn:
            return [passkey(row) for row in await passkeys.passkeys_of(conn, **self._own(info))]

    @field("Groups the caller is in or asked to join, the newest group first.")
    async def groups(self, info: Info, first: First = None, after: After = None) -> GroupConnection | None:
        binding = f"viewer.groups:{self.row.id}"
        request = page_request(info, binding, first=first, after=after)
        async with acquire(info.context.pool) as conn:
            page = await groups.viewer_group_page(conn, **self._own(info), request=request)
        return group_connection(page, binding)

    @field("Ideas the caller threw, withdrawn and hidden ones too, newest first.")
    async def ideas(self, info: Info, first: First = None, after: After = None) -> IdeaConnection | None:
        which = IdeaFilter(author_id=self.row.id)
        return await _idea_page(info, f"viewer.ideas:{self.row.id}", which, first=first, after=after)

    @field("Listed ideas the caller's vote stands for, the newest idea first.")
    async def votes(self, info: Info, first: First = None, after: After = None) -> IdeaConnection | None:
        which = IdeaFilter(voter_id=self.row.id)
        return await _idea_page(info, f"viewer.votes:{self.row.id}", which, first=first, after=after)

    @field("What the caller follows, newest follow first.")
    async def follows(self, info: Info, first: First = None, after: After = None) -> FollowConnection | None:
        binding = f"viewer.follows:{self.row.id}"
        request = page_request(info, binding, first=first, after=after)
        async with acquire(info.context.pool) as conn:
            page = await follows.follow_page(conn, **info.context.scope, request=request)
        return follow_connection(page, binding)

    @field("What happened in what the caller follows, newest first.")
    async def notifications(
        self, info: Info, first: First = None, after: After = None, unread_only: UnreadOnly = False
    ) -> NotificationConnection | None:
        binding = f"viewer.notifications:{self.row.id}:{unread_only}"
        request = page_request(info, binding, first=first, after=after)
        async with acquire(info.context.pool) as conn:
            page = await notifications.notification_page(
                conn, **self._own(info), unread_only=unread_only, request=request
            )
        return notification_connection(page, binding)

    @field("How many notifications are not yet read.")
    async def unread_count(self, info: Info) -> int:
        async with acquire(info.context.pool) as conn:
            return await notifications.unread_count(conn, **self._own(info))

    @field("Devices that are signed in to the account, the latest first.")
    async def sessions(self, info: Info, first: First = None, after: After = None) -> SessionConnection | None:
        binding = f"viewer.sessions:{self.row.id}"
        request = page_request(info, binding, first=first, after=after)
        async with acquire(info.context.pool) as conn:
            page = await sessions.session_page(conn, **self._own(info), request=request)
        return session_connection(page, binding)

    @field("Copies of everything held on the caller that were asked for lately, newest first. At most 30.")
    async def data_exports(self, info: Info) -> list[DataExport]:
        async with acquire(info.context.pool) as conn:
            rows = await data_exports.exports_of(conn, **self._own(info), limit=data_exports.MOST_KEPT)
        return [DataExport(row=row, municipality_id=info.context.municipality_id) for row in rows]

    def _own(self, info: Info) -> dict[str, UUID]:
        return {"municipality_id": info.context.municipality_id, "resident_id": self.row.id}


@strawberry.type(description="The caller with the profile as it now is, or why not.")
class ProfilePayload:
    viewer: Viewer | None = strawberry.field(default=None, description="Who asked; null where refused.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


async def _idea_page(
    info: Info, binding: str, which: IdeaFilter, *, first: int | None, after: str | None
) -> IdeaConnection:
    context, request = info.context, page_request(info, binding, first=first, after=after)
    async with acquire(context.pool) as conn:
        (page,) = await ideas.idea_pages(
            conn, **context.scope, today=context.today(), order="NEWEST", filter=which, request=request
        )
    return idea_connection(page, binding)


def viewer(row: ResidentRow) -> Viewer:
    held = {"RESIDENT", *row.roles}
    return Viewer(
        row=row,
        resident=resident(row.id, row.display_name),
        locale=Locale(row.locale),
        strength=IdentityStrength(row.strength),
        roles=[role for role in Role if role in held],
    )
