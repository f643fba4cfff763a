"""Who may do what: roles with who says so, and as which official somebody acts.

Granting and revoking write the audit entry and close what the account has open, so that nobody who calls them can
forget to. Both want the account locked (`lock_account`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from backend.cursors import Place
from backend.db import audit, invitations, revocations
from backend.db.pages import Page, PageRequest, page
from backend.db.pool import Connection
from backend.db.statements import statements
from backend.provenance import note_private

SQL = statements("roles")

# What a source may be, beside the ids of login providers.
ADMINISTRATOR: Final = "ADMINISTRATOR"
COMMAND: Final = "COMMAND"


@dataclass(frozen=True, slots=True)
class AccountRow:
    strength: str
    official_id: UUID | None


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A role, who says so, and since when; None for a role older than that was kept."""

    role: str
    source: str
    granted_at: datetime | None


@dataclass(frozen=True, slots=True)
class StaffRow:
    id: UUID
    display_name: str
    strength: str
    official_id: UUID | None
    held: Sequence[HeldRow]

    @property
    def place(self) -> Place:
        return Place(0, self.id)


async def lock_account(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> AccountRow | None:
    row = await conn.fetchrow(SQL["lock_account"], municipality_id, resident_id)
    return AccountRow(row[0], row[1]) if row else None


async def grant_role(
    conn: Connection,
    *,
    municipality_id: UUID,
    resident_id: UUID,
    role: str,
    source: str,
    actor_id: UUID | None,
    official_id: UUID | None = None,
) -> bool:
    """Whether something changed: the role is new from this source, or another official is acted as (`official_id`,
    None to leave it as it is)."""
    given = await conn.fetchval(SQL["grant_role"], municipality_id, resident_id, role, source) is not None
    tied = official_id and await conn.execute(SQL["act_as"], municipality_id, resident_id, official_id) == "UPDATE 1"
    if not given and not tied:
        return False
    await revocations.reopen(conn, municipality_id=municipality_id, resident_id=resident_id)
    await audit.record(
        conn,
        municipality_id=municipality_id,
        actor_id=actor_id,
        act="ROLE_GRANTED",
        subject_id=resident_id,
        details={"role": role, "source": source} | ({"official": official_id} if official_id else {}),
    )
    return True


async def revoke_role(
    conn: Connection,
    *,
    municipality_id: UUID,
    resident_id: UUID,
    role: str,
    actor_id: UUID | None,
    source: str | None = None,
) -> bool:
    """Whether something changed. Takes back what one source said, or all of them where left out."""
    rows = await conn.fetch(SQL["revoke_role"], municipality_id, resident_id, role, source)
    if not rows:
        return False
    await conn.execute(SQL["leave_post"], municipality_id, resident_id)
    if role == "ADMINISTRATOR":
        await invitations.withdraw_invitations_of(conn, municipality_id=municipality_id, inviter_id=resident_id)
    await revocations.reopen(conn, municipality_id=municipality_id, resident_id=resident_id)
    await audit.record(
        conn,
        municipality_id=municipality_id,
        actor_id=actor_id,
        act="ROLE_REVOKED",
        subject_id=resident_id,
        details={"role": role, "sources": sorted(row[0] for row in rows)},
    )
    return True


async def roles_of_source(conn: Connection, *, municipality_id: UUID, resident_id: UUID, source: str) -> frozenset[str]:
    return frozenset(row[0] for row in await conn.fetch(SQL["roles_of_source"], municipality_id, resident_id, source))


async def speaks_by_others(conn: Connection, *, municipality_id: UUID, resident_id: UUID, source: str) -> bool:
    """Whether another source than this has the account act as somebody who holds a post now."""
    found: bool = await conn.fetchval(SQL["speaks_by_others"], municipality_id, resident_id, source)
    return found


async def official_by_email(conn: Connection, *, municipality_id: UUID, email: str) -> UUID | None:
    """Who holds a post now and has that address at work; None where it is several's."""
    found: UUID | None = await conn.fetchval(SQL["official_by_email"], municipality_id, email)
    return found


async def lock_administrators(conn: Connection, *, municipality_id: UUID) -> set[UUID]:
    return {row[0] for row in await conn.fetch(SQL["lock_administrators"], municipality_id)}


async def lock_official(conn: Connection, *, municipality_id: UUID, official_id: UUID) -> bool | None:
    """Whether somebody holds a post now; None where there is nobody such."""
    in_office: bool | None = await conn.fetchval(SQL["lock_official"], municipality_id, official_id)
    return in_office


async def acts_already(conn: Connection, *, municipality_id: UUID, official_id: UUID, resident_id: UUID) -> bool:
    """Whether another account than this acts as a locked official."""
    found: bool = await conn.fetchval(SQL["acts_already"], municipality_id, official_id, resident_id)
    return found


async def staff_member(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> StaffRow | None:
    note_private()
    row = await conn.fetchrow(SQL["staff_member"], municipality_id, resident_id)
    return _staff(row) if row else None


async def staff_page(
    conn: Connection, *, municipality_id: UUID, role: str | None, request: PageRequest
) -> Page[StaffRow]:
    """Oldest account first."""
    note_private()
    after = request.beyond and request.beyond.id
    rows = await conn.fetch(SQL["staff_page"], municipality_id, role, after, request.limit + 1)
    return page([_staff(row) for row in rows], request)


def _staff(row: asyncpg.Record) -> StaffRow:
    return StaffRow(
        row[0], row[1], row[2], row[3], [HeldRow(*each) for each in zip(row[4], row[5], row[6], strict=True)]
    )
