"""Which fields are the same for everybody without an account, so that one answer may be kept and given to all of them.

Every field of every type that a query leads to is in one of the three tables, and a test fails for one that isn't. A
field that is in none is taken to differ. Before a field goes into SHARED: all that it is made from must be noted where
it is read (`provenance.py`), and must be in the feed when it changes (`sql/migrations/0008_public_changes.sql`).
"""

from collections.abc import Mapping
from typing import Final

_PAGE: Final = "pageInfo edges nodes"
_ROW: Final = "cursor node"


def _fields(types: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((type_name, field) for type_name, fields in types.items() for field in fields.split())


SHARED: Final = _fields(
    {
        "Query": "node nodes municipality ideas leaderboard groups contact",
        "Node": "id",
        "Author": "id displayName",
        "Followable": "id",
        "Municipality": "id slug name population timeZone locales voteStrength reactionDays answerDays coordinator "
        "loginProviders districts themes departments",
        "LoginProvider": "id name serves highestStrength",
        "District": "id name",
        "Theme": "id name department",
        "Department": "id name officials",
        "Official": "id name email phone title department",
        "Resident": "id displayName",
        "Group": "id displayName kind description approvesMembers memberCount ideas",
        "GroupConnection": _PAGE,
        "GroupEdge": _ROW,
        "Idea": "id number title body locale status createdAt editedAt updatedAt version acceptsVotes voteCount "
        "location votesByStrength clock author groups theme district mergedInto department responsible responses "
        "latestResponse",
        "IdeaConnection": _PAGE,
        "IdeaEdge": _ROW,
        "Location": "latitude longitude",
        "StrengthCount": "strength count",
        "ResponseClock": "reactionDueAt answerDueAt firstResponseAt answeredAt isOverdue",
        "Response": "id kind body reasons nextStep nextStepDueAt statusAfter createdAt idea official department "
        "toDepartment toOfficial",
        "ResponseConnection": _PAGE,
        "ResponseEdge": _ROW,
        "LeaderboardConnection": _PAGE,
        "LeaderboardEdge": _ROW,
        "LeaderboardEntry": "rank score idea previousRank",
        "PageInfo": "hasNextPage hasPreviousPage startCursor endCursor",
    }
)
# The same for everyone, and not worth keeping: hardly anybody asks the same again.
ASKED_ONCE: Final = _fields({"Query": "similarIdeas", "SimilarIdea": "similarity idea"})
# What differs between viewers, or is there for some of them alone.
VIEWERS: Final = _fields(
    {
        "Query": "viewer staff invitations auditEntries",
        "AuditEntry": "sequence at act details hash actor subjectId",
        "AuditEntryConnection": _PAGE,
        "AuditEntryEdge": _ROW,
        "DataExport": "id status requestedAt readyAt expiresAt downloadPath",
        "Followable": "viewerFollows",
        "Idea": "viewerVote viewerFollows submittedBy hiddenReason",
        "Vote": "castAt strength counts",
        "Group": "members viewerRole",
        "GroupMemberConnection": _PAGE,
        "GroupMemberEdge": f"{_ROW} role joinedAt",
        "Viewer": "resident locale strength roles emails official groups ideas votes follows notifications unreadCount "
        "sessions passkeys dataExports",
        "Session": "id method deviceName createdAt lastUsedAt expiresAt isCurrent",
        "SessionConnection": _PAGE,
        "SessionEdge": _ROW,
        "FollowConnection": _PAGE,
        "FollowEdge": f"{_ROW} followedAt",
        "Passkey": "id name createdAt lastUsedAt",
        "Invitation": "id email role official createdAt expiresAt invitedBy",
        "InvitationConnection": _PAGE,
        "InvitationEdge": _ROW,
        "StaffConnection": _PAGE,
        "StaffEdge": _ROW,
        "StaffMember": "resident strength roles official",
        "HeldRole": "role source grantedAt",
        "Notification": "id kind createdAt readAt idea response",
        "NotificationConnection": _PAGE,
        "NotificationEdge": _ROW,
    }
)
PUBLIC_FIELDS: Final = frozenset(field for type_name, field in SHARED if type_name == "Query")


def viewer_dependent(type_name: str, field: str) -> bool:
    if field.startswith("__") or type_name.startswith("__"):
        return False
    return (type_name, field) not in SHARED and (type_name, field) not in ASKED_ONCE
