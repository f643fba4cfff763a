"""What accounts were proven by, and the accounts themselves while somebody signs in."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from backend.db.pool import LONG_SECONDS, Connection
from backend.db.statements import statements
from backend.provenance import note_private

SQL = statements("identities")


class Identity(Protocol):
    """What was proven: `auth/identity.py` makes it."""

    @property
    def kind(self) -> str: ...
    @property
    def subject_hash(self) -> bytes: ...
    @property
    def email(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A locked one. `persons` are hashes of the personal identity codes it was proven by; `staff`: with a role beside
    RESIDENT."""

    id: UUID
    strength: str
    official_id: UUID | None
    erased: bool
    being_erased: bool
    joined_into_id: UUID | None
    persons: frozenset[bytes]
    staff: bool


async def accounts_of(
    conn: Connection, *, municipality_id: UUID, identities: Sequence[Identity]
) -> dict[tuple[str, bytes], UUID]:
    """Whose the identities are, by kind and hash; those that are nobody's left out."""
    kinds, hashes = [each.kind for each in identities], [each.subject_hash for each in identities]
    rows = await conn.fetch(SQL["accounts_of"], municipality_id, kinds, hashes)
    return {(row[0], row[1]): row[2] for row in rows}


async def final_account(conn: Connection, *, municipality_id: UUID, id: UUID) -> UUID | None:
    """The account that this one was joined into in the end, itself where it wasn't; None where there is none."""
    found: UUID | None = await conn.fetchval(SQL["final_account"], municipality_id, id)
    return found


async def all_accounts(conn: Connection, *, municipality_id: UUID, id: UUID) -> list[UUID]:
    """The account, and those that were joined into it. Looks at every account there is: for jobs."""
    rows = await conn.fetch(SQL["all_accounts"], municipality_id, id, timeout=LONG_SECONDS)
    return [row[0] for row in rows]


async def hold_accounts(conn: Connection, *, municipality_id: UUID, ids: Collection[UUID]) -> dict[UUID, AccountRow]:
    """The accounts, locked until the transaction ends: what they voted for and hold stays as it is."""
    rows = await conn.fetch(SQL["hold_accounts"], municipality_id, list(ids))
    # In a statement of its own: it must see what was committed while the first one waited.
    facts = {row[0]: row for row in await conn.fetch(SQL["account_facts"], municipality_id, list(ids))}
    return {
        id: AccountRow(id, strength, post, erased, being_erased, joined_into, frozenset(facts[id][1]), facts[id][2])
        for id, strength, post, erased, being_erased, joined_into in rows
    }


async def add_identities(
    conn: Connection, *, municipality_id: UUID, resident_id: UUID, identities: Sequence[Identity]
) -> int:
    """How many of them are the account's now; the others are somebody else's."""
    columns = ([each.kind for each in identities], [each.subject_hash for each in identities])
    emails = [each.email for each in identities]
    return len(await conn.fetch(SQL["add_identities"], municipality_id, resident_id, *columns, emails))


async def raise_resident(conn: Connection, *, municipality_id: UUID, id: UUID, strength: str) -> bool:
    """Whether a locked account is stronger now; its votes are counted anew by `db/votes.py` `settle_votes`."""
    return await conn.fetchval(SQL["raise_resident"], municipality_id, id, strength) is not None


async def revive_resident(conn: Connection, *, municipality_id: UUID, id: UUID, display_name: str, locale: str) -> None:
    """An erased account comes back as itself, under a new name."""
    await conn.execute(SQL["revive_resident"], municipality_id, id, display_name, locale)


async def emails(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> list[str]:
    note_private()
    return [row[0] for row in await conn.fetch(SQL["emails"], municipality_id, resident_id)]
