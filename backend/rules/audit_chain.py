"""Whether an audit chain is whole, and where it first isn't. Not computed by the database's own function."""

import hashlib
from dataclasses import dataclass
from itertools import chain
from typing import Final
from uuid import UUID

from backend.db.audit import EntryRow, HeadRow

START: Final = bytes(32)
MOST_TRIED: Final = 1_000_000  # numbers, for where an entry stood: a number in a table may be anything by now


@dataclass(frozen=True, slots=True)
class Broken:
    """The first entry that isn't what was written, and what was done to it as far as can be told."""

    sequence: int
    what: str


def follows(municipality_id: UUID, entry: EntryRow, *, sequence: int, previous: bytes) -> bool:
    """Whether this is entry `sequence` after one with the hash `previous`, and has not been touched."""
    return (
        entry.sequence == sequence
        and entry.previous_hash == previous
        and entry.hash == _hash(municipality_id, entry, sequence)
    )


def diagnose(
    municipality_id: UUID, entry: EntryRow, after: EntryRow | None, head: HeadRow | None, *, sequence: int
) -> Broken:
    """What became of entry `sequence`, in whose place `entry` was found, with `after` behind it.

    What a hash was made over includes the entry's number: so one that was moved tells where it stood.
    """
    if entry.sequence != sequence:
        return Broken(min(sequence, entry.sequence), "removed" if entry.sequence > sequence else "inserted")
    longest = min(max(sequence, head.sequence if head else 0) + 1, MOST_TRIED)
    stood = _stood(municipality_id, entry, longest)
    after_stood = _stood(municipality_id, after, longest) if after else None
    if stood is None:
        return Broken(sequence, "inserted" if after_stood == sequence else "changed")
    if stood > sequence:
        return Broken(sequence, "removed" if after is None or after_stood == stood + 1 else "reordered")
    if stood < sequence:
        return Broken(stood, "inserted")
    # Whole by itself, but made to follow another one. Where the chain goes on from it, the one before is false.
    goes_on = after.previous_hash == entry.hash if after else head is not None and head.hash == entry.hash
    return Broken(sequence - 1 if goes_on and sequence > 1 else sequence, "changed, and its hash with it")


def end(head: HeadRow | None, *, sequence: int, last: bytes) -> Broken | None:
    """What is wrong with the end of a chain of `sequence` entries that follow each other; None where nothing is."""
    if head is None:
        return Broken(sequence, "the head was removed") if sequence else None
    if head.sequence > sequence:
        return Broken(sequence + 1, "cut at the end")
    if head.sequence < sequence:
        return Broken(head.sequence + 1, "inserted")
    return None if head.hash == last else Broken(sequence, "the head was changed, or this entry and its hash")


def _stood(municipality_id: UUID, entry: EntryRow, longest: int) -> int | None:
    """The number with which its hash is right; None where there is none."""
    near = (entry.sequence, entry.sequence + 1, entry.sequence - 1)
    numbers = chain(near, range(1, longest + 1))
    return next((number for number in numbers if _hash(municipality_id, entry, number) == entry.hash), None)


def _hash(municipality_id: UUID, entry: EntryRow, sequence: int) -> bytes:
    """As `audit_entries.hash` is described in the database."""
    lines = (
        str(municipality_id),
        str(sequence),
        entry.microseconds,
        str(entry.actor_id or ""),
        entry.act,
        str(entry.subject_id or ""),
        entry.details,
        entry.previous_hash.hex(),
    )
    if any("\n" in line for line in lines):  # lines must be told apart
        return b""
    return hashlib.sha256("\n".join(lines).encode()).digest()
