"""Who may do what. An operation that isn't listed here is refused, and a test fails for it.

These are the doors; which idea, group or case behind a door is the caller's to touch is the operation's own first rule.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from backend.context import Context
from backend.errors import Forbidden, Unauthenticated


class Policy(Enum):
    ANYBODY = frozenset[str]()
    SIGNED_IN = frozenset({"RESIDENT"})
    OFFICIALS = frozenset({"OFFICIAL", "COORDINATOR"})
    MODERATORS = frozenset({"MODERATOR"})
    ADMINISTRATORS = frozenset({"ADMINISTRATOR"})
    STAFF = OFFICIALS | MODERATORS | ADMINISTRATORS


POLICIES: Final[Mapping[str, Mapping[str, Policy]]] = {
    "query": {
        "node": Policy.ANYBODY,
        "nodes": Policy.ANYBODY,
        "municipality": Policy.ANYBODY,
        "viewer": Policy.ANYBODY,
        "ideas": Policy.ANYBODY,
        "leaderboard": Policy.ANYBODY,
        "similarIdeas": Policy.ANYBODY,
        "groups": Policy.ANYBODY,
        "contact": Policy.ANYBODY,
        "auditEntries": Policy.ADMINISTRATORS,
        "staff": Policy.ADMINISTRATORS,
        "invitations": Policy.ADMINISTRATORS,
    },
    "mutation": {
        "registerDevice": Policy.ANYBODY,
        "refreshSession": Policy.ANYBODY,
        "requestEmailCode": Policy.ANYBODY,
        "confirmEmailCode": Policy.ANYBODY,
        "confirmEmailLink": Policy.ANYBODY,
        "beginLogin": Policy.ANYBODY,
        "completeLogin": Policy.ANYBODY,
        "endSession": Policy.SIGNED_IN,
        "endAllSessions": Policy.SIGNED_IN,
        "submitIdea": Policy.SIGNED_IN,
        "editIdea": Policy.SIGNED_IN,
        "withdrawIdea": Policy.SIGNED_IN,
        "setVote": Policy.SIGNED_IN,
        "setFollow": Policy.SIGNED_IN,
        "updateProfile": Policy.SIGNED_IN,
        "markNotificationsRead": Policy.SIGNED_IN,
        "createGroup": Policy.SIGNED_IN,
        "joinGroup": Policy.SIGNED_IN,
        "approveMember": Policy.SIGNED_IN,
        "leaveGroup": Policy.SIGNED_IN,
        "requestDataExport": Policy.SIGNED_IN,
        "eraseAccount": Policy.SIGNED_IN,
        "respondToIdea": Policy.OFFICIALS,
        "hideIdea": Policy.MODERATORS,
        "showIdea": Policy.MODERATORS,
        "beginPasskeyRegistration": Policy.STAFF,
        "finishPasskeyRegistration": Policy.STAFF,
        "beginPasskeyLogin": Policy.ANYBODY,
        "finishPasskeyLogin": Policy.ANYBODY,
        "removePasskey": Policy.SIGNED_IN,
        "inviteStaff": Policy.ADMINISTRATORS,
        "withdrawInvitation": Policy.ADMINISTRATORS,
        "acceptInvitation": Policy.ANYBODY,
        "grantRole": Policy.ADMINISTRATORS,
        "revokeRole": Policy.ADMINISTRATORS,
    },
    "subscription": {
        "leaderboardChanged": Policy.ANYBODY,
        "ideaChanged": Policy.ANYBODY,
        "notificationReceived": Policy.SIGNED_IN,
    },
}
# At most one of them in a document (promise E2): what makes accounts, and what a guess could be tried at.
ALONE: Final = frozenset(
    {
        "registerDevice",
        "refreshSession",
        "requestEmailCode",
        "confirmEmailCode",
        "confirmEmailLink",
        "beginLogin",
        "completeLogin",
        "finishPasskeyLogin",
        "acceptInvitation",
    }
)
_INTROSPECTION: Final = frozenset({"__schema", "__type", "__typename"})


def authorize(kind: str, root_fields: Sequence[str], context: object) -> None:
    """Before anything runs. Raises Unauthenticated, Forbidden."""
    assert isinstance(context, Context)  # noqa: S101 # the gate made it
    viewer = context.viewer
    for name in root_fields:
        if name in _INTROSPECTION:
            continue
        policy = POLICIES[kind].get(name)
        if policy is None:
            raise Forbidden(f"{name}: nobody may do this.")
        if policy is Policy.ANYBODY:
            continue
        if viewer.resident_id is None:
            raise Unauthenticated
        if not policy.value & {"RESIDENT", *viewer.roles}:
            raise Forbidden(f"{name}: your account doesn't have the role that is needed.")
