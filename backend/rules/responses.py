"""What an official's response does to an idea, decided on rows alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from backend.db.ideas import IdeaRow
from backend.db.municipalities import Catalogue
from backend.errors import Refusal
from backend.rules.ideas import check_version

TEXT_LIMIT: Final = 10_000  # of body and reasons each
NEXT_STEP_LIMIT: Final = 2_000

KINDS: Final = frozenset({"RECEIPT", "ASSIGNMENT", "TRANSFER", "PART_ANSWER", "DECISION", "PROGRESS", "OUTCOME"})
_DECISION: Final = frozenset({"DECISION"})


class Step(NamedTuple):
    """Which kinds of response lead to a status, and out of which."""

    kinds: frozenset[str]
    statuses: frozenset[str]


# By the new status; the contract's table "Ideas", and status_transitions in the database, which enforces it too.
STEPS: Final[Mapping[str, Step]] = MappingProxyType(
    {
        "UNDER_REVIEW": Step(KINDS, frozenset({"OPEN"})),
        "PLANNED": Step(_DECISION, frozenset({"OPEN", "UNDER_REVIEW", "TRIAL"})),
        "TRIAL": Step(_DECISION, frozenset({"OPEN", "UNDER_REVIEW", "PLANNED"})),
        "DECLINED": Step(_DECISION, frozenset({"OPEN", "UNDER_REVIEW", "PLANNED", "TRIAL"})),
        "DONE": Step(frozenset({"OUTCOME"}), frozenset({"PLANNED", "TRIAL"})),
        "OPEN": Step(_DECISION, frozenset({"UNDER_REVIEW", "DECLINED"})),
    }
)


@dataclass(frozen=True, slots=True)
class Responder:
    """Who acts; `official_id` is None for an account that is no official's."""

    official_id: UUID | None
    coordinates: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """What the responder asks for. Blank texts are None."""

    kind: str
    reasons: str | None = None
    next_step_due_at: datetime | None = None
    new_status: str | None = None
    to_department_id: UUID | None = None
    to_official_id: UUID | None = None
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """Who signs, and how the idea stands after the response."""

    official_id: UUID
    status: str
    department_id: UUID
    post_id: UUID


def respond(idea: IdeaRow, draft: Draft, responder: Responder, *, catalogue: Catalogue, now: datetime) -> Effect:
    """Raises Refusal: NOT_ALLOWED, CLOSED, CONFLICT, REQUIRED, REASONS_REQUIRED, NOT_FOUND and INVALID, in this order
    of who, when and what."""
    official_id = _signatory(idea, responder, catalogue)
    if idea.status in {"WITHDRAWN", "MERGED"}:
        raise Refusal("CLOSED", "ideaId", reason="idea_over")
    check_version(idea, draft.expected_version)
    status = _status_after(idea.status, draft)
    if draft.next_step_due_at is not None and draft.next_step_due_at < now:
        raise Refusal("INVALID", "nextStepDueAt", reason="due_in_past")
    department_id, post_id = _owner_after(idea, draft, catalogue)
    return Effect(official_id, status, department_id, post_id)


def _signatory(idea: IdeaRow, responder: Responder, catalogue: Catalogue) -> UUID:
    """The official whose name the response bears: one in office, of the department that owns the case now unless
    they coordinate."""
    official = catalogue.officials.get(responder.official_id) if responder.official_id else None
    if official is None or not official.in_office:
        raise Refusal("NOT_ALLOWED", "ideaId", reason="not_in_office")
    if not responder.coordinates and catalogue.department_of(official).id != idea.department_id:
        raise Refusal("NOT_ALLOWED", "ideaId", reason="not_your_case")
    return official.id


def _status_after(status: str, draft: Draft) -> str:
    if draft.kind == "DECISION" and draft.reasons is None:
        raise Refusal("REASONS_REQUIRED", "reasons")
    after = draft.new_status or status
    if after != status:
        step = STEPS.get(after)
        if step is None or draft.kind not in step.kinds or status not in step.statuses:
            raise Refusal("INVALID", "newStatus", reason="status_step")
    if after == "DECLINED" and draft.reasons is None:
        raise Refusal("REASONS_REQUIRED", "reasons")
    return after


def _owner_after(idea: IdeaRow, draft: Draft, catalogue: Catalogue) -> tuple[UUID, UUID]:
    """Department and post. A transfer goes to another department, an assignment to somebody of the same one; other
    responses name neither."""
    department_id = idea.department_id
    if draft.kind == "TRANSFER":
        if draft.to_department_id is None:
            raise Refusal("REQUIRED", "toDepartmentId")
        if draft.to_department_id not in catalogue.departments:
            raise Refusal("NOT_FOUND", "toDepartmentId")
        if draft.to_department_id == department_id:
            raise Refusal("INVALID", "toDepartmentId", reason="same_department")
        department_id = draft.to_department_id
    elif draft.to_department_id is not None:
        raise Refusal("INVALID", "toDepartmentId", reason="only_transfer")
    if draft.to_official_id is not None:
        if draft.kind not in {"TRANSFER", "ASSIGNMENT"}:
            raise Refusal("INVALID", "toOfficialId", reason="only_transfer")
        return department_id, _post_of(draft.to_official_id, department_id, catalogue)
    if draft.kind == "ASSIGNMENT":
        raise Refusal("REQUIRED", "toOfficialId")
    if draft.kind == "TRANSFER":
        place = {"theme_id": idea.theme_id, "district_id": idea.district_id}
        return department_id, catalogue.responsible_post(department_id, **place)
    return department_id, idea.post_id


def _post_of(official_id: UUID, department_id: UUID, catalogue: Catalogue) -> UUID:
    """The post of an official who is in office in a department."""
    official = catalogue.officials.get(official_id)
    if official is None:
        raise Refusal("NOT_FOUND", "toOfficialId")
    if not official.in_office or catalogue.department_of(official).id != department_id:
        raise Refusal("INVALID", "toOfficialId", reason="official_elsewhere")
    return official.post_id
