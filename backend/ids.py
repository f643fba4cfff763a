"""Global ids: base64 of `Type:uuid`, opaque to clients and stable for ever (Relay's object identification)."""

import binascii
from base64 import b64decode, b64encode
from functools import lru_cache
from uuid import UUID

from backend.errors import BadUserInput

# What an id looks like when it is somebody's, whether or not anything is there.
TYPES = frozenset(
    {
        "Municipality",
        "District",
        "Theme",
        "Department",
        "Official",
        "Idea",
        "Resident",
        "Response",
        "Group",
        "Notification",
        "Passkey",
        "PasskeyChallenge",
        "Invitation",
        "Session",
    }
)


@lru_cache(maxsize=8192)
def global_id(type_name: str, id: UUID) -> str:
    return b64encode(f"{type_name}:{id}".encode()).decode()


@lru_cache(maxsize=4096)
def parse_id(text: str, *path: str) -> tuple[str, UUID]:
    """(type name, uuid). Raises BadUserInput naming `path` where `text` is no id of ours."""
    try:
        type_name, _, raw = b64decode(text, validate=True).decode("ascii").partition(":")
        uuid = UUID(raw)
    except (binascii.Error, ValueError):
        type_name, uuid = "", UUID(int=0)
    # Only the one spelling we gave out, so that an id can be compared as text.
    if type_name not in TYPES or global_id(type_name, uuid) != text:
        raise BadUserInput(f"{'.'.join(path) or 'id'}: not an id of this service", path=list(path) or ["id"])
    return type_name, uuid
