"""Enumerations of the contract. Values are the words of the database, so nothing is translated on the way."""

from enum import StrEnum
from typing import TypeVar

import strawberry

E = TypeVar("E", bound=StrEnum)


def _enum(cls: type[E], description: str, values: dict[str, str]) -> type[E]:
    """Registers `cls` with a description for itself and for every value."""
    strawberry.enum(cls, description=description)
    definition = cls.__strawberry_definition__  # type: ignore[attr-defined] # strawberry.enum put it there
    for value in definition.values:
        value.description = values[value.name]
    return cls


class IdeaStatus(StrEnum):
    OPEN = "OPEN"
    UNDER_REVIEW = "UNDER_REVIEW"
    PLANNED = "PLANNED"
    TRIAL = "TRIAL"
    DONE = "DONE"
    DECLINED = "DECLINED"
    MERGED = "MERGED"
    WITHDRAWN = "WITHDRAWN"


_enum(
    IdeaStatus,
    "How far an idea has come.",
    {
        "OPEN": "Thrown; takes votes.",
        "UNDER_REVIEW": "The municipality has answered something and is working on it; takes votes.",
        "PLANNED": "Decided: it will be done. Takes no more votes.",
        "TRIAL": "Decided: it is being tried out. Takes no more votes.",
        "DONE": "It was done; the last response tells the outcome.",
        "DECLINED": "Decided against, with reasons.",
        "MERGED": "Went into another idea, see `mergedInto`; in no list.",
        "WITHDRAWN": "Taken back by its author; only in the author's own list.",
    },
)


class IdentityStrength(StrEnum):
    DEVICE = "DEVICE"
    EMAIL = "EMAIL"
    STRONG = "STRONG"


_enum(
    IdentityStrength,
    "How well it is known that a voter is one person. From weakest to strongest.",
    {
        "DEVICE": "An anonymous account of a device.",
        "EMAIL": "Somebody who reads an e-mail address.",
        "STRONG": "Identified by the state or the municipality.",
    },
)


class LoginAudience(StrEnum):
    RESIDENTS = "RESIDENTS"
    STAFF = "STAFF"


_enum(
    LoginAudience,
    "Whom a way to log in is for.",
    {"RESIDENTS": "Everybody.", "STAFF": "Who works for the municipality; it may give roles."},
)


class SessionMethod(StrEnum):
    DEVICE = "DEVICE"
    EMAIL = "EMAIL"
    OIDC = "OIDC"
    PASSKEY = "PASSKEY"
    INVITATION = "INVITATION"
    COMMAND = "COMMAND"


_enum(
    SessionMethod,
    "How somebody signed in.",
    {
        "DEVICE": "Without a form, by registering the device.",
        "EMAIL": "By a code or link sent by mail.",
        "OIDC": "Through a login service.",
        "PASSKEY": "By a passkey.",
        "INVITATION": "By an invitation from the municipality.",
        "COMMAND": "By those who run the service, with an access token only.",
    },
)


class ResponseKind(StrEnum):
    RECEIPT = "RECEIPT"
    ASSIGNMENT = "ASSIGNMENT"
    TRANSFER = "TRANSFER"
    PART_ANSWER = "PART_ANSWER"
    DECISION = "DECISION"
    PROGRESS = "PROGRESS"
    OUTCOME = "OUTCOME"


_enum(
    ResponseKind,
    "What an official's response does.",
    {
        "RECEIPT": "Says that the idea was read, and what happens next.",
        "ASSIGNMENT": "Gives the case to another official of the department.",
        "TRANSFER": "Gives the case to another department.",
        "PART_ANSWER": "Answers a part of it, or asks back.",
        "DECISION": "Decides, with reasons.",
        "PROGRESS": "Tells how the work goes.",
        "OUTCOME": "Tells what was done and what came of it.",
    },
)


class GroupKind(StrEnum):
    INFORMAL = "INFORMAL"
    REGISTERED = "REGISTERED"


_enum(
    GroupKind,
    "What sort of group; the rights are the same.",
    {"INFORMAL": "People who act together.", "REGISTERED": "An association in the register of associations."},
)


class GroupRole(StrEnum):
    PENDING = "PENDING"
    MEMBER = "MEMBER"
    CONTACT = "CONTACT"


_enum(
    GroupRole,
    "What somebody is in a group.",
    {
        "PENDING": "Asked to join; a contact has yet to approve.",
        "MEMBER": "Throws ideas in the group's name.",
        "CONTACT": "A member who also approves members, edits and withdraws.",
    },
)


class Role(StrEnum):
    RESIDENT = "RESIDENT"
    OFFICIAL = "OFFICIAL"
    COORDINATOR = "COORDINATOR"
    MODERATOR = "MODERATOR"
    ADMINISTRATOR = "ADMINISTRATOR"


_enum(
    Role,
    "What an account may do.",
    {
        "RESIDENT": "Throws ideas, votes, follows, joins groups. Everybody with an account.",
        "OFFICIAL": "Answers for the cases of a department.",
        "COORDINATOR": "Answers for the cases of every department.",
        "MODERATOR": "Hides what breaks the rules of play, and shows it again.",
        "ADMINISTRATOR": "Sets up the municipality.",
    },
)


class NotificationKind(StrEnum):
    RESPONSE = "RESPONSE"
    STATUS_CHANGED = "STATUS_CHANGED"


_enum(
    NotificationKind,
    "What happened.",
    {"RESPONSE": "The municipality responded.", "STATUS_CHANGED": "The idea has a new status."},
)


class DataExportStatus(StrEnum):
    PENDING = "PENDING"
    READY = "READY"
    EXPIRED = "EXPIRED"


_enum(
    DataExportStatus,
    "How far a copy of somebody's data is.",
    {
        "PENDING": "It is being made.",
        "READY": "It can be downloaded, once.",
        "EXPIRED": "It was downloaded, or not in time: ask for a new one.",
    },
)


class IdeaOrder(StrEnum):
    NEWEST = "NEWEST"
    OLDEST = "OLDEST"
    MOST_VOTED = "MOST_VOTED"
    TRENDING = "TRENDING"
    DUE_FIRST = "DUE_FIRST"


_enum(
    IdeaOrder,
    "The order of a list of ideas.",
    {
        "NEWEST": "Latest thrown first.",
        "OLDEST": "First thrown first.",
        "MOST_VOTED": "By `voteCount`, then the older.",
        "TRENDING": "By votes of the last 14 days, newer ones weighing more, then the older.",
        "DUE_FIRST": "By when the municipality's next reaction or answer is due; those with nothing due last.",
    },
)


class LeaderboardWindow(StrEnum):
    ALL_TIME = "ALL_TIME"
    MONTH = "MONTH"
    WEEK = "WEEK"
    DAY = "DAY"
    TRENDING = "TRENDING"


_enum(
    LeaderboardWindow,
    "Which votes a board counts. Days are the municipality's local calendar days.",
    {
        "ALL_TIME": "All of them: the score is `voteCount`.",
        "MONTH": "Cast in the last 30 days, today included.",
        "WEEK": "Cast in the last 7 days, today included.",
        "DAY": "Cast today.",
        "TRENDING": "Cast in the last 14 days, each weighing 14 less its age in days.",
    },
)


class UserErrorCode(StrEnum):
    REQUIRED = "REQUIRED"
    TOO_LONG = "TOO_LONG"
    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    NOT_ALLOWED = "NOT_ALLOWED"
    CLOSED = "CLOSED"
    REASONS_REQUIRED = "REASONS_REQUIRED"
    STRENGTH_TOO_LOW = "STRENGTH_TOO_LOW"
    LIMIT_REACHED = "LIMIT_REACHED"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    CONFLICT = "CONFLICT"


_enum(
    UserErrorCode,
    "Why something a person asked for was not done. Nothing was changed.",
    {
        "REQUIRED": "It can't be empty.",
        "TOO_LONG": "It is longer than allowed.",
        "INVALID": "It can't be, here or now.",
        "NOT_FOUND": "There is no such thing, or not for the caller.",
        "NOT_ALLOWED": "The caller's role would fit, but not for this one.",
        "CLOSED": "It takes no votes or changes any more.",
        "REASONS_REQUIRED": "A decision needs its reasons.",
        "STRENGTH_TOO_LOW": "The caller must be identified better first.",
        "LIMIT_REACHED": "There are as many as there may be.",
        "IDEMPOTENCY_KEY_REUSED": "The key was used before with another input.",
        "CONFLICT": "Somebody else changed it meanwhile, or the same call is still under way: read again, then retry.",
    },
)
