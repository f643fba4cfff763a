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
    "follows.resident_id": "take_over",
    "group_members.resident_id": "take_over",
    "notifications.resident_id": "take_over",
    "sessions.resident_id": "take_over",
    "identities.resident_id": "take_over",
    "email_challenges.resident_id": "take_over",
    "resident_roles.resident_id": "take_over",
    "passkeys.resident_id": "take_over",
    "passkey_challenges.resident_id": "take_over",
    "invitations.invited_by_id": "take_over",
    "login_attempts.resident_id": "take_over",
    "data_exports.resident_id": "take_over",
    "residents.joined_into_id": "",  # a chain is followed to its end
    "moderations.moderator_id": "",  # append-only
    "imported_voters.resident_id": "",  # known to their import only: nobody signs in as one
}


async def take_over(conn: Connection, *, municipality_id: UUID, joined_ids: Sequence[UUID], survivor_id: UUID) -> None:
    """Everything of the joined accounts but votes and ideas becomes the survivor's. All of them are locked
    (`hold_accounts`). May be repeated, as `take_over_ideas`, for what was written to a joined account since."""
    await conn.execute(SQL["hold_groups_of"], municipality_id, list(joined_ids))
    for joined_id in joined_ids:
        await _move(conn, municipality_id=municipality_id, joined_id=joined_id, survivor_id=survivor_id)


async def take_over_ideas(
    conn: Connection, *, municipality_id: UUID, joined_ids: Sequence[UUID], survivor_id: UUID, strength: str
) -> None:
    """Votes and ideas too; `strength` is the survivor's. The last thing of a transaction: voters wait for it."""
    joined = list(joined_ids)
    if joined:
        await conn.execute(SQL["hold_ideas_of"], municipality_id, joined, survivor_id, strength)
    await settle_votes(
        conn, municipality_id=municipality_id, resident_id=survivor_id, joined_ids=joined, strength=strength
    )
    if joined:
        await conn.execute(SQL["move_ideas"], municipality_id, joined, survivor_id)


async def _move(conn: Connection, *, municipality_id: UUID, joined_id: UUID, survivor_id: UUID) -> None:
    whose = (municipality_id, joined_id, survivor_id)
    if await conn.fetchval(SQL["bury_resident"], *whose):
        # Before its sessions move: theirs tell how long its tokens last.
        await revocations.revoke_account(conn, municipality_id=municipality_id, resident_id=joined_id)
    if roles := [row[0] for row in await conn.fetch(SQL["take_over"], *whose)]:
        await revocations.reopen(conn, municipality_id=municipality_id, resident_id=survivor_id)
        await audit.record(
            conn,
            municipality_id=municipality_id,
            actor_id=survivor_id,
            act="ROLES_JOINED",
            subject_id=survivor_id,
            details={"from": joined_id, "roles": roles},
        )
