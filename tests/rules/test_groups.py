import pytest

from backend.errors import Refusal
from backend.rules.groups import approves, check_pace, leaves, needs_approval, role_on_joining


@pytest.mark.parametrize(
    ("kind", "asked", "needed"),
    [("INFORMAL", False, False), ("INFORMAL", True, True), ("REGISTERED", False, True), ("REGISTERED", True, True)],
)
def test_registered_groups_always_approve_their_members(kind: str, asked: bool, needed: bool) -> None:
    assert needs_approval(kind=kind, asked=asked) is needed


def test_a_fourth_group_in_a_day_is_refused() -> None:
    check_pace(2)
    with pytest.raises(Refusal) as refused:
        check_pace(3)
    assert (refused.value.code, refused.value.field, refused.value.values) == ("LIMIT_REACHED", None, {"limit": 3})


@pytest.mark.parametrize(("approves_members", "role"), [(False, "MEMBER"), (True, "PENDING")])
def test_joining_makes_a_member_at_once_only_where_nobody_approves(approves_members: bool, role: str) -> None:
    assert role_on_joining(role=None, approves_members=approves_members) == role


@pytest.mark.parametrize("role", ["PENDING", "MEMBER", "CONTACT"])
@pytest.mark.parametrize("approves_members", [False, True])
def test_joining_again_changes_nothing(role: str, approves_members: bool) -> None:
    assert role_on_joining(role=role, approves_members=approves_members) is None


@pytest.mark.parametrize(("applicant", "changes"), [("PENDING", True), ("MEMBER", False), ("CONTACT", False)])
def test_a_contact_approves_who_is_pending_and_changes_nothing_for_members(applicant: str, changes: bool) -> None:
    assert approves(approver="CONTACT", applicant=applicant) is changes


@pytest.mark.parametrize("approver", [None, "PENDING", "MEMBER"])
@pytest.mark.parametrize("applicant", [None, "PENDING", "MEMBER"])
def test_others_may_not_approve_and_learn_nothing_of_who_applied(approver: str | None, applicant: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        approves(approver=approver, applicant=applicant)
    assert (refused.value.code, refused.value.field) == ("NOT_ALLOWED", ("input", "groupId"))


def test_a_contact_cannot_approve_somebody_who_never_asked() -> None:
    with pytest.raises(Refusal) as refused:
        approves(approver="CONTACT", applicant=None)
    assert (refused.value.code, refused.value.field) == ("NOT_FOUND", ("input", "residentId"))


def test_the_last_contact_cannot_leave_other_members_behind() -> None:
    with pytest.raises(Refusal) as refused:
        leaves(role="CONTACT", member_count=2, has_other_contact=False)
    assert (refused.value.code, refused.value.reason) == ("NOT_ALLOWED", "group_last_contact")


@pytest.mark.parametrize(
    ("role", "member_count", "has_other_contact", "changes"),
    [
        ("CONTACT", 1, False, True),
        ("CONTACT", 2, True, True),
        ("MEMBER", 2, True, True),
        ("PENDING", 1, True, True),
        (None, 1, True, False),
    ],
)
def test_everybody_else_may_leave(role: str | None, member_count: int, has_other_contact: bool, changes: bool) -> None:
    assert leaves(role=role, member_count=member_count, has_other_contact=has_other_contact) is changes
