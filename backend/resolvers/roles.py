"""Roles: who has which, giving them and taking them away."""

from typing import Annotated
from uuid import UUID

import strawberry

from backend.context import Context, Info
from backend.db import roles as db
from backend.db.pool import Connection, acquire, transaction
from backend.errors import Refusal
from backend.resolvers.inputs import id_in
from backend.rules.roles import check_role, check_strength
from backend.schema.enums import Role
from backend.schema.pages import After, First, page_request
from backend.schema.roles import (
    GrantRoleInput,
    RevokeRoleInput,
    RolePayload,
    StaffConnection,
    StaffFilter,
    staff_connection,
)
from backend.schema.roles import staff_member as shown


async def staff(
    info: Info,
    filter: Annotated[
        StaffFilter | None, strawberry.argument(description="Everybody with a role where left out.")
    ] = None,
    first: First = None,
    after: After = None,
) -> StaffConnection | None:
    role = filter.role if filter else None
    binding = f"staff:{role}"
    request = page_request(info, binding, first=first, after=after)
    async with acquire(info.context.pool) as conn:
        page = await db.staff_page(conn, municipality_id=info.context.municipality_id, role=role, request=request)
    return staff_connection(page, binding)


async def grant_role(info: Info, input: GrantRoleInput) -> RolePayload:
    context, resident_id = info.context, id_in("Resident", input.resident_id, field="residentId")
    official_id = None if input.official_id is None else id_in("Official", input.official_id, field="officialId")
    # Read anew: who is in office decides.
    context.catalogue = await context.services.catalogues.get(context.municipality_id, fresh=True)
    async with transaction(context.pool) as conn:
        await give_role(
            context,
            conn,
            resident_id=resident_id,
            role=input.role,
            official_id=official_id,
            source=db.ADMINISTRATOR,
            actor_id=context.viewer.id,
        )
    await context.services.revocations.announce(context.municipality_id, wait=resident_id != context.viewer.id)
    return await _payload(context, resident_id)


async def give_role(
    context: Context,
    conn: Connection,
    *,
    resident_id: UUID,
    role: str,
    official_id: UUID | None,
    source: str,
    actor_id: UUID | None,
) -> None:
    """Raises Refusal NOT_FOUND, STRENGTH_TOO_LOW, and what `check_role` raises; INVALID for a post-holder whom
    another account acts as."""
    account = await db.lock_account(conn, municipality_id=context.municipality_id, resident_id=resident_id)
    if account is None:
        raise Refusal("NOT_FOUND", "residentId")
    check_strength(account.strength)
    check_role(role, official_id=official_id, catalogue=context.catalogue, acts_as=account.official_id)
    if official_id is not None:
        # Locked and looked at again: the post may have been left, or taken, since the catalogue was read.
        if not await db.lock_official(conn, municipality_id=context.municipality_id, official_id=official_id):
            raise Refusal("INVALID", "officialId", reason="post_ended")
        if await db.acts_already(
            conn, municipality_id=context.municipality_id, official_id=official_id, resident_id=resident_id
        ):
            raise Refusal("INVALID", "officialId", reason="post_taken")
    await db.grant_role(
        conn,
        municipality_id=context.municipality_id,
        resident_id=resident_id,
        role=role,
        source=source,
        actor_id=actor_id,
        official_id=official_id,
    )


async def revoke_role(info: Info, input: RevokeRoleInput) -> RolePayload:
    context, resident_id = info.context, id_in("Resident", input.resident_id, field="residentId")
    municipality_id = context.municipality_id
    if input.role is Role.RESIDENT:
        raise Refusal("INVALID", "role", reason="role_of_everybody")
    async with transaction(context.pool) as conn:
        if await db.lock_account(conn, municipality_id=municipality_id, resident_id=resident_id) is None:
            raise Refusal("NOT_FOUND", "residentId")
        administrators = input.role is Role.ADMINISTRATOR and await db.lock_administrators(
            conn, municipality_id=municipality_id
        )
        if administrators == {resident_id}:
            raise Refusal("NOT_ALLOWED", "role", reason="last_administrator")
        await db.revoke_role(
            conn,
            municipality_id=municipality_id,
            resident_id=resident_id,
            role=input.role,
            actor_id=context.viewer.id,
        )
    await context.services.revocations.announce(context.municipality_id, wait=resident_id != context.viewer.id)
    return await _payload(context, resident_id)


async def _payload(context: Context, resident_id: UUID) -> RolePayload:
    async with acquire(context.pool) as conn:
        row = await db.staff_member(conn, municipality_id=context.municipality_id, resident_id=resident_id)
    return RolePayload(member=shown(row) if row else None)
