"""Invitations to roles."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backend.cursors import Place
from backend.db.pages import Page, PageRequest, page
from backend.db.pool import LONG_SECONDS, Connection
from backend.db.statements import statements
from backend.provenance import note_private

SQL = statements("invitations")


@dataclass(frozen=True, slots=True)
class OfferRow:
    """What an invitation is good for. `invited_by_id` is None for the command line."""

    id: UUID
    email: str
    role: str
    official_id: UUID | None
    source: str
    invited_by_id: UUID | None


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """As administrators see it."""

    id: UUID
    email: str
    role: str
    official_id: UUID | None
    created_at: datetime
    expires_at: datetime
    invited_by_id: UUID | None
    invited_by_name: str | None

    @property
    def place(self) -> Place:
        return Place(0, self.id)


async def add_invitation(
    conn: Connection,
    *,
    municipality_id: UUID,
    secret_hash: bytes,
    email: str,
    role: str,
    official_id: UUID | None,
    source: str,
    invited_by_id: UUID | None,
    expires_at: datetime,
) -> UUID:
    offer = (secret_hash, email, role, official_id, source, invited_by_id, expires_at)
    made: UUID = await conn.fetchval(SQL["add_invitation"], municipality_id, *offer)
    return made


async def invitation(conn: Connection, *, municipality_id: UUID, secret_hash: bytes) -> OfferRow | None:
    row = await conn.fetchrow(SQL["invitation"], municipality_id, secret_hash)
    return OfferRow(*row) if row else None


async def spend_invitation(conn: Connection, *, municipality_id: UUID, id: UUID) -> bool:
    """Whether it was there to be spent."""
    return await conn.fetchval(SQL["spend_invitation"], municipality_id, id) is not None


async def withdraw_invitation(conn: Connection, *, municipality_id: UUID, id: UUID) -> bool:
    return await conn.fetchval(SQL["withdraw_invitation"], municipality_id, id) is not None


async def withdraw_invitations_of(conn: Connection, *, municipality_id: UUID, inviter_id: UUID) -> None:
    await conn.execute(SQL["withdraw_invitations_of"], municipality_id, inviter_id)


async def prune_invitations(conn: Connection) -> None:
    await conn.execute(SQL["prune_invitations"], timeout=LONG_SECONDS)


async def shown_invitation(conn: Connection, *, municipality_id: UUID, id: UUID) -> InvitationRow | None:
    note_private()
    row = await conn.fetchrow(SQL["shown_invitation"], municipality_id, id)
    return InvitationRow(*row) if row else None


async def invitation_page(conn: Connection, *, municipality_id: UUID, request: PageRequest) -> Page[InvitationRow]:
    """Newest first."""
    note_private()
    after = request.beyond and request.beyond.id
    rows = await conn.fetch(SQL["invitation_page"], municipality_id, after, request.limit + 1)
    return page([InvitationRow(*row) for row in rows], request)
