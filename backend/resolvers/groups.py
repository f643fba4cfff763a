"""Groups: finding, making, joining and leaving them."""

import unicodedata
from typing import Annotated
from uuid import UUID

import strawberry

from backend.context import Context, Info
from backend.db import groups as db
from backend.db.groups import GroupRow
from backend.db.pool import Connection, acquire, transaction
from backend.errors import BadUserInput, Refusal
from backend.resolvers.inputs import id_in
from backend.resolvers.once import once
from backend.rules import groups as rules
from backend.rules.names import NAME_LIMIT, check_name
from backend.rules.search import SEARCH_LIMIT
from backend.rules.text import optional_text, required_text
from backend.schema.groups import (
    ApproveMemberInput,
    CreateGroupInput,
    GroupConnection,
    GroupFilter,
    GroupPayload,
    JoinGroupInput,
    LeaveGroupInput,
    group,
    group_connection,
)
from backend.schema.pages import After, First, page_request
from backend.settings import Switch


async def groups(
    info: Info,
    filter: Annotated[GroupFilter | None, strawberry.argument(description="Every group where left out.")] = None,
    first: First = None,
    after: After = None,
) -> GroupConnection | None:
    kind = filter.kind if filter else None
    search = _search_text(filter.search) if filter and filter.search else None
    binding = f"groups:{kind}:{search}"
    request = page_request(info, binding, first=first, after=after)
    async with acquire(info.context.pool) as conn:
        page = await db.group_page(
            conn, municipality_id=info.context.municipality_id, kind=kind, search=search, request=request
        )
    return group_connection(page, binding)


async def create_group(info: Info, input: CreateGroupInput) -> GroupPayload:
    context = info.context
    display_name = required_text(input.display_name, field="displayName", limit=NAME_LIMIT)
    check_name(display_name, catalogue=context.catalogue, field="displayName")
    description = optional_text(input.description, field="description", limit=rules.DESCRIPTION_LIMIT)
    approves_members = rules.needs_approval(kind=input.kind, asked=input.approves_members)

    async def make() -> UUID:
        if _is_paced(context):
            created = await db.groups_created_lately(
                conn, municipality_id=context.municipality_id, resident_id=context.viewer.id
            )
            rules.check_pace(created)
            await context.limit("GROUPS")
        return await db.create_group(
            conn,
            municipality_id=context.municipality_id,
            creator_id=context.viewer.id,
            display_name=display_name,
            kind=input.kind,
            description=description,
            approves_members=approves_members,
        )

    async with transaction(context.pool) as conn:
        group_id = await once(
            context,
            conn,
            operation="createGroup",
            key=input.idempotency_key,
            input={
                "display_name": display_name,
                "kind": input.kind,
                "description": description,
                "approves_members": input.approves_members,
            },
            make=make,
        )
    return await _payload(context, group_id)


async def join_group(info: Info, input: JoinGroupInput) -> GroupPayload:
    context, group_id = info.context, id_in("Group", input.group_id, field="groupId")
    joiner = context.viewer.id
    async with transaction(context.pool) as conn:
        row = await _lock(context, conn, group_id)
        roles = await _roles(context, conn, group_id, joiner)
        role = rules.role_on_joining(role=roles.get(joiner), approves_members=row.approves_members)
        if role:
            await db.join_group(
                conn, municipality_id=context.municipality_id, group_id=group_id, resident_id=joiner, role=role
            )
    return await _payload(context, group_id)


async def approve_member(info: Info, input: ApproveMemberInput) -> GroupPayload:
    context, group_id = info.context, id_in("Group", input.group_id, field="groupId")
    approver, applicant = context.viewer.id, id_in("Resident", input.resident_id, field="residentId")
    async with transaction(context.pool) as conn:
        await _lock(context, conn, group_id)
        roles = await _roles(context, conn, group_id, approver, applicant)
        if rules.approves(approver=roles.get(approver), applicant=roles.get(applicant)):
            await db.approve_member(
                conn, municipality_id=context.municipality_id, group_id=group_id, resident_id=applicant
            )
    return await _payload(context, group_id)


async def leave_group(info: Info, input: LeaveGroupInput) -> GroupPayload:
    context, group_id = info.context, id_in("Group", input.group_id, field="groupId")
    leaver = context.viewer.id
    async with transaction(context.pool) as conn:
        row = await _lock(context, conn, group_id)
        roles = await _roles(context, conn, group_id, leaver)
        other_contact = await db.has_other_contact(
            conn, municipality_id=context.municipality_id, group_id=group_id, resident_id=leaver
        )
        if rules.leaves(role=roles.get(leaver), member_count=row.member_count, has_other_contact=other_contact):
            await db.leave_group(conn, municipality_id=context.municipality_id, group_id=group_id, resident_id=leaver)
    return await _payload(context, group_id)


def _is_paced(context: Context) -> bool:
    return context.services.settings.rate_limits is Switch.ON and not context.catalogue.rate_limits_lifted


async def _lock(context: Context, conn: Connection, group_id: UUID) -> GroupRow:
    """Raises Refusal NOT_FOUND."""
    row = await db.group_for_update(conn, municipality_id=context.municipality_id, id=group_id)
    if row is None:
        raise Refusal("NOT_FOUND", "groupId")
    return row


async def _roles(context: Context, conn: Connection, group_id: UUID, *residents: UUID) -> dict[UUID, str]:
    return await db.group_roles(
        conn, municipality_id=context.municipality_id, group_id=group_id, resident_ids=residents
    )


async def _payload(context: Context, group_id: UUID) -> GroupPayload:
    row = await context.read.group(group_id)
    return GroupPayload(group=group(row) if row else None)


def _search_text(text: str) -> str:
    """Raises BadUserInput for one that is too long."""
    if len(text) > SEARCH_LIMIT:
        raise BadUserInput(f"filter.search: at most {SEARCH_LIMIT} characters", path=["filter", "search"])
    return unicodedata.normalize("NFC", text).strip()
