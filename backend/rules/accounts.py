"""Which of the accounts that a login leads to goes on, and which of them are joined into it (docs/adr/0026).

An account is one person's. What a login proves belongs to one person too, so the accounts of its identities do; whoever
holds the token of yet another account is taken for its owner, unless two strong proofs speak against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from backend.db.identities import AccountRow

STRENGTHS: Final = ("DEVICE", "EMAIL", "STRONG")


@dataclass(frozen=True, slots=True)
class Decision:
    """`survivor` None is a new account."""

    survivor: AccountRow | None
    joined: tuple[AccountRow, ...] = ()

    def strength(self, proven: str) -> str:
        """What all of them have proven counts; it never falls."""
        known = [each.strength for each in (self.survivor, *self.joined) if each]
        return max(*known, proven, key=STRENGTHS.index) if known else proven


def decide(
    proven: Sequence[AccountRow], *, caller: AccountRow | None, persons: frozenset[bytes], strength: str
) -> Decision:
    """`proven` are the accounts of the login's identities, `caller` the one of the request's token; `persons` and
    `strength` are what the login proves."""
    if not proven:
        # A token of one person, and the code of another: somebody else holds the phone.
        foreign = caller is not None and caller.persons and persons and not caller.persons & persons
        return Decision(None if foreign else caller)
    # The person decides where a provider's subject leads elsewhere.
    first, *rest = sorted(proven, key=lambda account: (not account.persons & persons, *_preference(account)))
    group = [first]
    for account in rest:
        if _fits(group, account, persons):
            group.append(account)
    if caller and caller not in proven:
        both_strong = caller.strength == "STRONG" and "STRONG" in (strength, *(each.strength for each in group))
        if not both_strong and _fits(group, caller, persons):
            group.append(caller)
    survivor, *joined = sorted(group, key=_preference)
    return Decision(survivor, tuple(joined))


def _preference(account: AccountRow) -> tuple[bool, int, UUID]:
    """Lowest goes on: staff, so that rights stay where they were given; then the stronger, then the older."""
    return not (account.staff or account.official_id), -STRENGTHS.index(account.strength), account.id


def _fits(group: Sequence[AccountRow], account: AccountRow, persons: frozenset[bytes]) -> bool:
    """Whether nothing says that they are two people: not two personal identity codes, not two posts."""
    known = persons.union(*(each.persons for each in group))
    if account.persons and known and not account.persons & persons:
        return False
    return not (account.official_id and any(each.official_id for each in group))
