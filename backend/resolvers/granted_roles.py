"""Roles that a source gives, be it a login provider or an administrator: changed, told to the audit log, and noticed by
whatever the account has open."""

from collections.abc import Collection
from uuid import UUID

from backend.db import audit, residents, revocations
from backend.db.pool import Connection


async def sync_roles(
    conn: Connection,
    *,
    municipality_id: UUID,
    resident_id: UUID,
    source: str,
    roles: Collection[str],
    actor_id: UUID | None = None,
) -> bool:
    """Makes what `source` gives be `roles`, and nothing that another source gives; whether anything changed.

    `actor_id` is who decided it: None for a login provider, which the entries name as their source."""
    account = {"municipality_id": municipality_id, "resident_id": resident_id}
    withdrawn = await residents.withdraw_roles(conn, **account, source=source, keeping=roles)
    granted = [role for role in sorted(roles) if await residents.grant_role(conn, **account, role=role, source=source)]
    acts = [("ROLE_REMOVED", role) for role in sorted(withdrawn)] + [("ROLE_GRANTED", role) for role in granted]
    if acts:
        await revocations.reopen(conn, **account)
    for act, role in acts:
        await audit.record(
            conn,
            municipality_id=municipality_id,
            actor_id=actor_id,
            act=act,
            subject_id=resident_id,
            details={"role": role, "source": source},
        )
    return bool(acts)


async def tie_official(conn: Connection, *, municipality_id: UUID, resident_id: UUID, source: str, email: str) -> None:
    """Whoever has the address at work of one post-holder of now is that post-holder. `email` is verified."""
    official_id = await residents.tie_official(
        conn, municipality_id=municipality_id, resident_id=resident_id, email=email
    )
    if official_id is not None:
        await revocations.reopen(conn, municipality_id=municipality_id, resident_id=resident_id)
        await audit.record(
            conn,
            municipality_id=municipality_id,
            actor_id=None,
            act="OFFICIAL_TIED",
            subject_id=resident_id,
            details={"official": official_id, "source": source},
        )
