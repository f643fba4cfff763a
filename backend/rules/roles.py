"""Who may be given which role, decided on rows alone."""

from typing import Final
from uuid import UUID

from backend.db.municipalities import Catalogue
from backend.errors import Refusal

# These speak in public in the name of an official, so an account that has them is tied to one.
SPEAKING: Final = frozenset({"OFFICIAL", "COORDINATOR"})


def check_role(role: str, *, official_id: UUID | None, catalogue: Catalogue, acts_as: UUID | None = None) -> None:
    """Whether a role can be given with a post-holder to act as. `acts_as` is whom the account acts as already.

    Raises Refusal INVALID for what every account has, or where role and post don't go together; REQUIRED and
    NOT_FOUND for the post-holder.
    """
    if role == "RESIDENT":
        raise Refusal("INVALID", "role", reason="role_of_everybody")
    if role not in SPEAKING:
        if official_id is not None:
            raise Refusal("INVALID", "officialId", reason="role_without_post")
        return
    named = official_id or acts_as
    if named is None:
        raise Refusal("REQUIRED", "officialId", reason="role_needs_post")
    official = catalogue.officials.get(named)
    if official is None:
        raise Refusal("NOT_FOUND", "officialId")
    if not official.in_office:
        raise Refusal("INVALID", "officialId", reason="post_ended")


def check_strength(strength: str) -> None:
    """Raises Refusal STRENGTH_TOO_LOW for accounts of a device: whoever finds the phone would speak for the
    municipality."""
    if strength == "DEVICE":
        raise Refusal("STRENGTH_TOO_LOW", "residentId", reason="role_needs_email")
