from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from backend.db.ideas import IdeaRow
from backend.db.municipalities import Catalogue, DepartmentRow, OfficialRow, PostRow, ThemeRow
from backend.errors import Refusal
from backend.rules.responses import KINDS, Draft, Effect, Responder, respond

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
STATUSES = ("OPEN", "UNDER_REVIEW", "PLANNED", "TRIAL", "DONE", "DECLINED")
STREETS, PARKS, CHANCERY = UUID(int=1), UUID(int=2), UUID(int=3)
ENGINEER, PLANNER, GARDENER, HEAD_OF_PARKS, COORDINATOR = (UUID(int=n) for n in range(11, 16))
ERIKA, PAULA, GUNNAR, HELI, KAISA, FORMER = (UUID(int=n) for n in range(21, 27))
THEME, DISTRICT = UUID(int=31), UUID(int=32)


def official(id: UUID, post_id: UUID, *, in_office: bool = True) -> OfficialRow:
    return OfficialRow(id, post_id, name="N. N.", email=None, phone=None, in_office=in_office)


CATALOGUE = Catalogue(
    id=UUID(int=100),
    slug="ilola",
    names={"fi": "Ilola"},
    population=1,
    time_zone="Europe/Helsinki",
    locales=("fi",),
    vote_strength="DEVICE",
    reaction_days=7,
    answer_days=30,
    rate_limits_lifted=False,
    districts={},
    departments={id: DepartmentRow(id, {}) for id in (STREETS, PARKS, CHANCERY)},
    themes={THEME: ThemeRow(THEME, {}, STREETS, is_general=False)},
    posts={
        id: PostRow(id, department, {}, is_coordinator=id == COORDINATOR)
        for id, department in (
            (ENGINEER, STREETS),
            (PLANNER, STREETS),
            (GARDENER, PARKS),
            (HEAD_OF_PARKS, PARKS),
            (COORDINATOR, CHANCERY),
        )
    },
    officials={
        ERIKA: official(ERIKA, ENGINEER),
        PAULA: official(PAULA, PLANNER),
        GUNNAR: official(GUNNAR, GARDENER),
        HELI: official(HELI, HEAD_OF_PARKS),
        KAISA: official(KAISA, COORDINATOR),
        FORMER: official(FORMER, ENGINEER, in_office=False),
    },
    responsibilities={(PARKS, None, None): HEAD_OF_PARKS, (PARKS, None, DISTRICT): GARDENER},
)
IDEA = IdeaRow(
    id=UUID(int=200),
    number=1,
    title="A bench by the stop",
    body="",
    locale="en",
    status="OPEN",
    created_at=NOW,
    edited_at=None,
    updated_at=NOW,
    version=3,
    author_id=None,
    author_name=None,
    author_group_id=None,
    theme_id=THEME,
    district_id=None,
    latitude=None,
    longitude=None,
    department_id=STREETS,
    post_id=ENGINEER,
    merged_into_id=None,
    reaction_due_at=NOW,
    answer_due_at=NOW,
    first_response_at=None,
    answered_at=None,
    due_at=NOW,
    hidden_reason=None,
    device_count=0,
    email_count=0,
    strong_count=0,
    vote_count=0,
)
ENGINEERS = Responder(ERIKA, coordinates=False)


def effect(draft: Draft, *, idea: IdeaRow = IDEA, responder: Responder = ENGINEERS) -> Effect:
    return respond(idea, draft, responder, catalogue=CATALOGUE, now=NOW)


def refusal(draft: Draft, *, idea: IdeaRow = IDEA, responder: Responder = ENGINEERS) -> tuple[str, str]:
    """Code and field."""
    with pytest.raises(Refusal) as caught:
        effect(draft, idea=idea, responder=responder)
    assert caught.value.field
    return caught.value.code, caught.value.field[1]


def draft_of(kind: str, new_status: str | None = None) -> Draft:
    """A draft of the kind that lacks nothing."""
    return Draft(
        kind,
        reasons="Because.",
        new_status=new_status,
        to_department_id=PARKS if kind == "TRANSFER" else None,
        to_official_id=PAULA if kind == "ASSIGNMENT" else None,
    )


def test_the_steps_between_statuses_are_those_of_the_contract() -> None:
    lawful = {
        (before, kind, after)
        for before in STATUSES
        for kind in KINDS
        for after in (*STATUSES, "MERGED", "WITHDRAWN")
        if before != after
        if _passes(draft_of(kind, after), IDEA._replace(status=before))
    }
    assert lawful == {
        *(("OPEN", kind, "UNDER_REVIEW") for kind in KINDS),
        ("OPEN", "DECISION", "PLANNED"),
        ("OPEN", "DECISION", "TRIAL"),
        ("OPEN", "DECISION", "DECLINED"),
        ("UNDER_REVIEW", "DECISION", "PLANNED"),
        ("UNDER_REVIEW", "DECISION", "TRIAL"),
        ("UNDER_REVIEW", "DECISION", "DECLINED"),
        ("UNDER_REVIEW", "DECISION", "OPEN"),
        ("PLANNED", "DECISION", "TRIAL"),
        ("PLANNED", "DECISION", "DECLINED"),
        ("PLANNED", "OUTCOME", "DONE"),
        ("TRIAL", "DECISION", "PLANNED"),
        ("TRIAL", "DECISION", "DECLINED"),
        ("TRIAL", "OUTCOME", "DONE"),
        ("DECLINED", "DECISION", "OPEN"),
    }


def _passes(draft: Draft, idea: IdeaRow) -> bool:
    try:
        return effect(draft, idea=idea).status == draft.new_status
    except Refusal as refused:
        assert (refused.code, refused.field) == ("INVALID", ("input", "newStatus"))
        return False


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_same_status_or_none_changes_no_status(status: str, kind: str) -> None:
    idea = IDEA._replace(status=status)
    assert effect(draft_of(kind, status), idea=idea).status == status
    assert effect(draft_of(kind), idea=idea).status == status


def test_a_decision_needs_reasons_whatever_it_decides() -> None:
    assert refusal(Draft("DECISION")) == ("REASONS_REQUIRED", "reasons")
    assert refusal(Draft("DECISION", new_status="PLANNED")) == ("REASONS_REQUIRED", "reasons")


def test_whatever_ends_in_declined_needs_reasons() -> None:
    declined = IDEA._replace(status="DECLINED")
    assert refusal(Draft("PROGRESS"), idea=declined) == ("REASONS_REQUIRED", "reasons")
    assert effect(Draft("PROGRESS", reasons="As before."), idea=declined).status == "DECLINED"


def test_a_receipt_needs_no_reasons_and_leaves_the_owner() -> None:
    assert effect(Draft("RECEIPT")) == Effect(ERIKA, "OPEN", STREETS, ENGINEER)


@pytest.mark.parametrize("status", ["WITHDRAWN", "MERGED"])
def test_what_is_withdrawn_or_merged_takes_no_response(status: str) -> None:
    assert refusal(Draft("RECEIPT"), idea=IDEA._replace(status=status)) == ("CLOSED", "ideaId")


def test_only_officials_in_office_of_the_owning_department_respond() -> None:
    for responder in (
        Responder(GUNNAR, coordinates=False),
        Responder(FORMER, coordinates=False),
        Responder(None, coordinates=False),
        Responder(None, coordinates=True),
    ):
        assert refusal(Draft("RECEIPT"), responder=responder) == ("NOT_ALLOWED", "ideaId")


def test_a_coordinator_responds_to_ideas_of_every_department() -> None:
    assert effect(Draft("RECEIPT"), responder=Responder(KAISA, coordinates=True)).official_id == KAISA


def test_who_may_not_respond_is_told_that_before_anything_else() -> None:
    withdrawn = IDEA._replace(status="WITHDRAWN")
    assert refusal(Draft("DECISION"), idea=withdrawn, responder=Responder(GUNNAR, coordinates=False)) == (
        "NOT_ALLOWED",
        "ideaId",
    )


def test_a_response_to_another_version_is_a_conflict() -> None:
    assert refusal(Draft("RECEIPT", expected_version=2)) == ("CONFLICT", "expectedVersion")
    assert effect(Draft("RECEIPT", expected_version=3)).status == "OPEN"


def test_a_next_step_is_not_due_in_the_past() -> None:
    late = Draft("RECEIPT", next_step_due_at=NOW - timedelta(microseconds=1))
    assert refusal(late) == ("INVALID", "nextStepDueAt")
    assert effect(replace(late, next_step_due_at=NOW)).status == "OPEN"


def test_a_transfer_goes_to_who_answers_there_for_the_ideas_theme_and_district() -> None:
    transfer = Draft("TRANSFER", to_department_id=PARKS)
    assert effect(transfer) == Effect(ERIKA, "OPEN", PARKS, HEAD_OF_PARKS)
    assert effect(transfer, idea=IDEA._replace(district_id=DISTRICT)) == Effect(ERIKA, "OPEN", PARKS, GARDENER)


def test_a_transfer_can_name_an_official_of_the_other_department() -> None:
    transfer = Draft("TRANSFER", to_department_id=PARKS, to_official_id=GUNNAR)
    assert effect(transfer) == Effect(ERIKA, "OPEN", PARKS, GARDENER)
    assert refusal(replace(transfer, to_official_id=PAULA)) == ("INVALID", "toOfficialId")


def test_a_transfer_names_another_department_that_is_there() -> None:
    assert refusal(Draft("TRANSFER")) == ("REQUIRED", "toDepartmentId")
    assert refusal(Draft("TRANSFER", to_department_id=UUID(int=9))) == ("NOT_FOUND", "toDepartmentId")
    assert refusal(Draft("TRANSFER", to_department_id=STREETS)) == ("INVALID", "toDepartmentId")


def test_an_assignment_goes_to_somebody_in_office_in_the_owning_department() -> None:
    assert effect(Draft("ASSIGNMENT", to_official_id=PAULA)) == Effect(ERIKA, "OPEN", STREETS, PLANNER)
    assert refusal(Draft("ASSIGNMENT")) == ("REQUIRED", "toOfficialId")
    assert refusal(Draft("ASSIGNMENT", to_official_id=UUID(int=9))) == ("NOT_FOUND", "toOfficialId")
    assert refusal(Draft("ASSIGNMENT", to_official_id=GUNNAR)) == ("INVALID", "toOfficialId")
    assert refusal(Draft("ASSIGNMENT", to_official_id=FORMER)) == ("INVALID", "toOfficialId")


def test_other_responses_give_the_case_to_nobody() -> None:
    assert refusal(Draft("PROGRESS", to_department_id=PARKS)) == ("INVALID", "toDepartmentId")
    assert refusal(Draft("ASSIGNMENT", to_department_id=PARKS, to_official_id=PAULA)) == ("INVALID", "toDepartmentId")
    assert refusal(Draft("PROGRESS", to_official_id=PAULA)) == ("INVALID", "toOfficialId")
