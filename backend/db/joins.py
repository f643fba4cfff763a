"""Two accounts of one person become one. Votes are settled by `db/votes.py`; this is everything else."""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from backend.db import audit, revocations
from backend.db.pool import Connection
from backend.db.statements import statements
from backend.db.votes import settle_votes

SQL = statements("joins")

# What names a resident, and the statement that moves it; "" where it stays with what is left of the account, and why.
# A test holds it against the database's foreign keys.
MOVES: Final[Mapping[str, str]] = {
    "votes.resident_id": "settle_votes",
    "ideas.author_id": "move_ideas",
    "follows.resident_id": "move_follows",
    "group_members.resident_id": "move_members",
    "notifications.resident_id": "move_notifications",
    "sessions.resident_id": "move_sessions",
    "identities.resident_id": "move_identities",
    "email_challenges.resident_id": "move_email_challenges",
    "resident_roles.resident_id": "move_roles",
    "passkeys.resident_id": "move_passkeys",
    "passkey_challenges.resident_id": "move_passkey_challenges",
    "invitations.invited_by_id": "move_invitations",
    "residents.joined_into_id": "",  # a chain is followed to its end
    "moderations.moderator_id": "",  # append-only
    "imported_voters.resident_id": "",  # known to their import only: nobody signs in as one
}
_IN_ORDER: Final = (
    "move_ideas",
    "move_follows",
    "move_members",
    "move_notifications",
    "move_idempotency_keys",
    "move_sessions",
    "move_identities",
    "move_email_challenges",
    "move_passkeys",
    "move_passkey_challenges",
    "move_invitations",
)


async def join(
    conn: Connection, *, municipality_id: UUID, joined_ids: Sequence[UUID], survivor_id: UUID, strength: str
) -> None:
    """Everything of the joined accounts becomes the survivor's, whose strength is `strength`. All of them are locked
    (`hold_accounts`). May be repeated for what was written to a joined account since."""
    for name in ("hold_ideas_of", "hold_groups_of"):
        more = (survivor_id, strength) if name == "hold_ideas_of" else ()
        await conn.execute(SQL[name], municipality_id, list(joined_ids), *more)
    await settle_votes(
        conn, municipality_id=municipality_id, resident_id=survivor_id, joined_ids=joined_ids, strength=strength
    )
    for joined_id in joined_ids:
        await _move(conn, municipality_id=municipality_id, joined_id=joined_id, survivor_id=survivor_id)


async def _move(conn: Connection, *, municipality_id: UUID, joined_id: UUID, survivor_id: UUID) -> None:
    whose = (municipality_id, joined_id, survivor_id)
    await conn.execute(SQL["move_post"], *whose)
    if await conn.fetchval(SQL["bury_resident"], *whose):
        # Before its sessions move: theirs tell how long its tokens last.
        await revocations.revoke_account(conn, municipality_id=municipality_id, resident_id=joined_id)
    for name in _IN_ORDER:
        await conn.execute(SQL[name], *whose)
    if roles := [row[0] for row in await conn.fetch(SQL["move_roles"], *whose)]:
        await revocations.reopen(conn, municipality_id=municipality_id, resident_id=survivor_id)
        await audit.record(
            conn,
            municipality_id=municipality_id,
            actor_id=survivor_id,
            act="ROLES_JOINED",
            subject_id=survivor_id,
            details={"from": joined_id, "roles": roles},
        )
