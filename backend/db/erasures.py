"""What is done to an account whose person is to be forgotten. `jobs/erase.py` puts it together.

Each table that holds something of a person has its statement here or its reason in docs/adr/0034; a test reads the
catalogue and fails for one that has neither.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.db.pool import LONG_SECONDS, Connection, take_time
from backend.db.statements import statements

SQL = statements("erasures")

# What goes with the account's last transaction, whole: each is small, or was emptied in batches before.
_AT_LAST: Final = (
    "forget_idempotency_keys",
    "forget_sessions",
    "forget_data_exports",
    "forget_passkeys",
    "forget_passkey_challenges",
    "forget_login_attempts",
    "forget_email_challenges",
    "forget_invitations",
    "forget_inviter",
    "forget_emails",
)


async def ask_erasure(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> datetime | None:
    """When it was asked first; None where there is nobody to forget. The name is gone at once."""
    asked_at: datetime | None = await conn.fetchval(SQL["ask_erasure"], municipality_id, resident_id)
    return asked_at


async def hold_erased(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> bool:
    """Whether the account is still to be erased, and locked."""
    return await conn.fetchval(SQL["hold_erased"], municipality_id, resident_id) is not None


async def locale(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> str:
    read: str = await conn.fetchval(SQL["locale"], municipality_id, resident_id)
    return read


async def groups_of(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> list[UUID]:
    return [row[0] for row in await conn.fetch(SQL["groups_of"], municipality_id, resident_id)]


async def settle_left_group(conn: Connection, *, municipality_id: UUID, group_id: UUID, left_id: UUID) -> None:
    """Of a locked group that somebody has just left: gives it a contact, or, where it was theirs alone, takes it off
    its ideas and removes it."""
    await conn.execute(SQL["appoint_contact"], municipality_id, group_id)
    if await conn.fetchval(SQL["is_left_alone"], municipality_id, group_id, left_id):
        for statement in ("disown_ideas", "empty_group", "remove_group"):
            await conn.execute(SQL[statement], municipality_id, group_id)


async def hold_ideas_of(conn: Connection, *, municipality_id: UUID, author_id: UUID, limit: int) -> list[UUID]:
    """The next ideas of an author, locked."""
    return [row[0] for row in await conn.fetch(SQL["hold_ideas_of"], municipality_id, author_id, limit)]


async def forget_ideas(
    conn: Connection, *, municipality_id: UUID, author_id: UUID, idea_ids: Sequence[UUID]
) -> list[tuple[UUID, bool]]:
    """Takes the author off locked ideas. Those that were emptied, and whether somebody follows their withdrawal."""
    rows = await conn.fetch(SQL["forget_ideas"], municipality_id, idea_ids, author_id)
    return [(row[0], row[1]) for row in rows]


async def forget_some(conn: Connection, what: str, *, municipality_id: UUID, resident_id: UUID, limit: int) -> bool:
    """Removes a batch of `follows` or `notifications`; whether there may be more."""
    done = await conn.execute(SQL[f"forget_{what}"], municipality_id, resident_id, limit)
    return int(done.split()[-1]) == limit


async def forget_resident(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> list[str]:
    """All that is left, at once; the roles that were held."""
    await take_time(conn)  # a device in use has some thousand spent refresh tokens
    for statement in _AT_LAST:
        await conn.execute(SQL[statement], municipality_id, resident_id, timeout=LONG_SECONDS)
    held = [row[0] for row in await conn.fetch(SQL["forget_roles"], municipality_id, resident_id)]
    await conn.execute(SQL["forget_resident"], municipality_id, resident_id, timeout=LONG_SECONDS)
    return held


async def idle_devices(conn: Connection, *, municipality_id: UUID, days: int, limit: int) -> list[UUID]:
    """Accounts of devices that did nothing for so long, and can't be used any more."""
    rows = await conn.fetch(SQL["idle_devices"], municipality_id, days, limit, timeout=LONG_SECONDS)
    return [row[0] for row in rows]
