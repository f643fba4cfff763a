"""What may be done to an idea, decided on rows alone."""

from typing import Final

from backend.db.ideas import IdeaRow
from backend.errors import Refusal
from backend.viewer import Viewer

ACCEPTS_VOTES: Final = frozenset({"OPEN", "UNDER_REVIEW"})
TITLE_LIMIT: Final = 140
BODY_LIMIT: Final = 10_000
REASON_LIMIT: Final = 2_000


def check_owner(idea: IdeaRow, viewer: Viewer, group_role: str | None) -> None:
    """An idea is edited and withdrawn by its author, a group's by the group's contacts. Raises Refusal NOT_ALLOWED."""
    owns = group_role == "CONTACT" if idea.author_group_id else idea.author_id == viewer.resident_id
    if not owns:
        raise Refusal("NOT_ALLOWED", "ideaId")


def check_version(idea: IdeaRow, expected: int | None) -> None:
    """Raises Refusal CONFLICT where the caller saw another version."""
    if expected is not None and expected != idea.version:
        raise Refusal("CONFLICT", "expectedVersion")


def check_editable(idea: IdeaRow, *, text_changes: bool, others_voted: bool) -> None:
    """Raises Refusal CLOSED: a withdrawn or merged idea is over, and a text that others voted for is fixed."""
    if idea.status in {"WITHDRAWN", "MERGED"}:
        raise Refusal("CLOSED", "ideaId")
    if text_changes and others_voted:
        raise Refusal("CLOSED", "ideaId", reason="idea_text_fixed")


def check_withdrawable(idea: IdeaRow) -> None:
    """Not after a DECISION. Raises Refusal CLOSED."""
    if idea.answered_at is not None or idea.status not in ACCEPTS_VOTES:
        raise Refusal("CLOSED", "ideaId", reason="idea_decided")
