"""Invitations: an administrator names an address and a role, and whoever reads mail there takes it up."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from backend.auth.identity import Identity, subject_hash
from backend.auth.secrets import hash_secret, new_secret
from backend.context import Info
from backend.db import audit, roles
from backend.db import invitations as db
from backend.db.invitations import OfferRow
from backend.db.pool import Connection, acquire, transaction
from backend.errors import Refusal
from backend.jobs.send_mail import send_mail
from backend.resolvers.email_codes import normal_email
from backend.resolvers.inputs import id_in
from backend.resolvers.once import once
from backend.resolvers.roles import give_role
from backend.resolvers.sessions import device_name
from backend.resolvers.sign_in import sign_in
from backend.rules.roles import check_role
from backend.schema.invitations import (
    AcceptInvitationInput,
    InvitationConnection,
    InvitationPayload,
    InviteStaffInput,
    WithdrawInvitationInput,
    WithdrawInvitationPayload,
    invitation,
    invitation_connection,
)
from backend.schema.nodes import node_id
from backend.schema.pages import After, First, page_request
from backend.schema.sessions import SessionPayload
from backend.settings import Settings
from backend.viewer import ANYBODY, NOBODY

LIFETIME: Final = timedelta(days=7)


async def invitations(info: Info, first: First = None, after: After = None) -> InvitationConnection | None:
    request = page_request(info, "invitations", first=first, after=after)
    async with acquire(info.context.pool) as conn:
        page = await db.invitation_page(conn, municipality_id=info.context.municipality_id, request=request)
    return invitation_connection(page, "invitations")


async def invite_staff(info: Info, input: InviteStaffInput) -> InvitationPayload:
    context, email = info.context, normal_email(input.email)
    official_id = None if input.official_id is None else id_in("Official", input.official_id, field="officialId")
    # Read anew: who is in office decides.
    context.catalogue = await context.services.catalogues.get(context.municipality_id, fresh=True)
    check_role(input.role, official_id=official_id, catalogue=context.catalogue)

    async def make() -> UUID:
        await context.limit("INVITATIONS")
        if official_id and await roles.acts_already(
            conn, municipality_id=context.municipality_id, official_id=official_id, resident_id=NOBODY
        ):
            raise Refusal("INVALID", "officialId", reason="post_taken")
        id, _ = await invite(
            conn,
            context.services.settings,
            municipality_id=context.municipality_id,
            email=email,
            role=input.role,
            official_id=official_id,
            locale=input.locale,
            inviter_id=context.viewer.id,
        )
        return id

    told = {"email": email, "role": input.role, "official_id": official_id, "locale": input.locale}
    async with transaction(context.pool) as conn:
        id = await once(context, conn, operation="inviteStaff", key=input.idempotency_key, input=told, make=make)
        row = await db.shown_invitation(conn, municipality_id=context.municipality_id, id=id)
    return InvitationPayload(invitation=invitation(row) if row else None)


async def invite(
    conn: Connection,
    settings: Settings,
    *,
    municipality_id: UUID,
    email: str,
    role: str,
    official_id: UUID | None,
    locale: str,
    inviter_id: UUID | None,
    mailed: bool = True,
) -> tuple[UUID, str]:
    """An invitation's id and secret, which is `mailed` with it. `inviter_id` is None for the command line. Raises
    Unavailable where no mail is set up."""
    secret, expires_at = new_secret(), datetime.now(UTC) + LIFETIME
    id = await db.add_invitation(
        conn,
        municipality_id=municipality_id,
        secret_hash=hash_secret(secret),
        email=email,
        role=role,
        official_id=official_id,
        source=roles.ADMINISTRATOR if inviter_id else roles.COMMAND,
        invited_by_id=inviter_id,
        expires_at=expires_at,
    )
    if mailed:
        await send_mail(
            conn,
            settings,
            municipality_id=municipality_id,
            to=email,
            template="invitation",
            locale=locale,
            values={"secret": secret},
            expires_at=expires_at,
        )
    await audit.record(
        conn,
        municipality_id=municipality_id,
        actor_id=inviter_id,
        act="STAFF_INVITED",
        details={"invitation": id, "role": role} | ({"official": official_id} if official_id else {}),
    )
    return id, secret


async def withdraw_invitation(info: Info, input: WithdrawInvitationInput) -> WithdrawInvitationPayload:
    context, id = info.context, id_in("Invitation", input.invitation_id, field="invitationId")
    async with transaction(context.pool) as conn:
        if not await db.withdraw_invitation(conn, municipality_id=context.municipality_id, id=id):
            raise Refusal("NOT_FOUND", "invitationId")
        await audit.record(
            conn,
            municipality_id=context.municipality_id,
            actor_id=context.viewer.id,
            act="INVITATION_WITHDRAWN",
            details={"invitation": id},
        )
    return WithdrawInvitationPayload(withdrawn_id=node_id("Invitation", id))


async def accept_invitation(info: Info, input: AcceptInvitationInput) -> SessionPayload:
    """Signs in as whose address it is. Who was signed in as somebody else isn't joined with that account: else a link
    that somebody has mailed to themselves would open the account of whoever follows it."""
    context, municipality_id = info.context, info.context.municipality_id
    device, secret_hash = device_name(input.device_name), hash_secret(input.secret)
    await context.limit("LOGINS")
    async with acquire(context.pool) as conn:
        offer = await db.invitation(conn, municipality_id=municipality_id, secret_hash=secret_hash)
    if offer is None:
        raise _gone()
    context.become(ANYBODY)
    context.catalogue = await context.services.catalogues.get(municipality_id, fresh=True)
    official = context.catalogue.officials.get(offer.official_id) if offer.official_id else None

    async def take_up(conn: Connection, resident_id: UUID) -> None:
        await _take_up(info, conn, offer, resident_id)

    key = context.services.identity_key
    hashed = subject_hash(key, municipality_id=municipality_id, kind="EMAIL", subject=offer.email)
    return await sign_in(
        context,
        identities=[Identity("EMAIL", hashed, offer.email)],
        strength="EMAIL",
        method="INVITATION",
        locale=context.locale,
        display_name=official.name if official else None,
        device_name=device,
        then=take_up,
    )


async def _take_up(info: Info, conn: Connection, offer: OfferRow, resident_id: UUID) -> None:
    """Spends the invitation and gives its role, in the name of who invited."""
    context = info.context
    if not await db.spend_invitation(conn, municipality_id=context.municipality_id, id=offer.id):
        raise _gone()
    try:
        await give_role(
            context,
            conn,
            resident_id=resident_id,
            role=offer.role,
            official_id=offer.official_id,
            source=offer.source,
            actor_id=offer.invited_by_id,
        )
    except Refusal as refusal:
        raise Refusal(refusal.code, "secret", reason=refusal.reason) from None
    await audit.record(
        conn,
        municipality_id=context.municipality_id,
        actor_id=resident_id,
        act="INVITATION_ACCEPTED",
        subject_id=resident_id,
        details={"invitation": offer.id},
    )


def _gone() -> Refusal:
    """The same for used, withdrawn, ended and never made."""
    return Refusal("INVALID", "secret", reason="invitation_gone")
