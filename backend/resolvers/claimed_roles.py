"""Roles of staff by the claims of their login: what a provider says holds from then on, until it says otherwise."""

from uuid import UUID

import structlog

from backend.auth.id_tokens import Vouched
from backend.auth.login_providers import LoginProvider
from backend.db import roles as db
from backend.db.pool import Connection
from backend.rules.roles import SPEAKING

log = structlog.get_logger()


async def claim_roles(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, provider: LoginProvider, vouched: Vouched
) -> None:
    """Gives what the claims give, takes back what they gave earlier, and touches nothing that others gave.

    Who speaks for a post must be its holder of now, known by the verified address at work; or act as one by the word
    of somebody else."""
    if provider.roles is None:
        return
    await db.lock_account(conn, municipality_id=municipality_id, resident_id=resident_id)
    roles, official_id = vouched.roles, None
    if roles & SPEAKING:
        official_id = await _post_holder(
            conn, municipality_id=municipality_id, resident_id=resident_id, email=vouched.email
        )
        if official_id is None and not await db.speaks_by_others(
            conn, municipality_id=municipality_id, resident_id=resident_id, source=provider.id
        ):
            roles -= SPEAKING
            log.warning("role without a post", provider=provider.key, resident=str(resident_id))
    held = await db.roles_of_source(conn, municipality_id=municipality_id, resident_id=resident_id, source=provider.id)
    for role in sorted(held - roles):
        await db.revoke_role(
            conn,
            municipality_id=municipality_id,
            resident_id=resident_id,
            role=role,
            actor_id=None,
            source=provider.id,
        )
    for role in sorted(roles):
        await db.grant_role(
            conn,
            municipality_id=municipality_id,
            resident_id=resident_id,
            role=role,
            source=provider.id,
            actor_id=None,
            official_id=official_id if role in SPEAKING else None,
        )


async def _post_holder(conn: Connection, *, municipality_id: UUID, resident_id: UUID, email: str | None) -> UUID | None:
    """The official with that address; None where there is none, and where another account acts as them."""
    found = email and await db.official_by_email(conn, municipality_id=municipality_id, email=email)
    if not found or not await db.lock_official(conn, municipality_id=municipality_id, official_id=found):
        return None
    taken = await db.acts_already(conn, municipality_id=municipality_id, official_id=found, resident_id=resident_id)
    return None if taken else found
