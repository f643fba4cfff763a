"""Who may be what in a group, decided on rows alone. Registered and informal groups have the same rights."""

from typing import Final

from backend.errors import Refusal

DESCRIPTION_LIMIT: Final = 2_000
PER_DAY: Final = 3  # promises.md, "group"
# The roles that make somebody a member: who is PENDING is none yet.
MEMBERS: Final = frozenset({"MEMBER", "CONTACT"})


def needs_approval(*, kind: str, asked: bool) -> bool:
    """Whether a new group's contacts approve its members: those of a registered association always do."""
    return asked or kind == "REGISTERED"


def check_pace(in_last_day: int) -> None:
    """Raises Refusal LIMIT_REACHED where a resident has created enough groups lately."""
    if in_last_day >= PER_DAY:
        raise Refusal("LIMIT_REACHED", reason="groups_per_day", limit=PER_DAY)


def role_on_joining(*, role: str | None, approves_members: bool) -> str | None:
    """The role to give to somebody who is `role` now; None where joining changes nothing."""
    if role is not None:
        return None
    return "PENDING" if approves_members else "MEMBER"


def approves(*, approver: str | None, applicant: str | None) -> bool:
    """Whether approving changes something: not where the applicant is a member already.

    Raises Refusal NOT_ALLOWED where the approver is no contact, and only then NOT_FOUND where nobody applied, so that
    others can't find out who did.
    """
    if approver != "CONTACT":
        raise Refusal("NOT_ALLOWED", "groupId", reason="group_contacts_only")
    if applicant is None:
        raise Refusal("NOT_FOUND", "residentId")
    return applicant == "PENDING"


def leaves(*, role: str | None, member_count: int, has_other_contact: bool) -> bool:
    """Whether leaving changes something: not for somebody who isn't in the group, nor asked to be.

    The last one out leaves the group to stand with its ideas. Raises Refusal NOT_ALLOWED for the last contact among
    other members.
    """
    if role == "CONTACT" and member_count > 1 and not has_other_contact:
        raise Refusal("NOT_ALLOWED", "groupId", reason="group_last_contact")
    return role is not None
