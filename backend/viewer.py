"""Who asks."""

from dataclasses import dataclass
from uuid import UUID

NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Viewer:
    """The caller, anonymous where `resident_id` is None. `roles` are those held now, not those in the token, which is
    one of the session `session_id`."""

    resident_id: UUID | None = None
    roles: frozenset[str] = frozenset()
    session_id: UUID = NOBODY

    @property
    def moderates(self) -> bool:
        return "MODERATOR" in self.roles

    @property
    def id(self) -> UUID:
        """For comparisons in SQL: the nil UUID, which nobody has, where the caller is anonymous."""
        return self.resident_id or NOBODY


ANYBODY = Viewer()
