"""Ids that come in."""

from uuid import UUID

from backend.errors import Refusal
from backend.ids import parse_id


def id_in(type_name: str, text: str, *, field: str) -> UUID:
    """The uuid of an input's id. Raises BadUserInput where it is malformed, Refusal NOT_FOUND where it is
    another thing's."""
    found, uuid = parse_id(text, "input", field)
    if found != type_name:
        raise Refusal("NOT_FOUND", field)
    return uuid


def filter_id(type_name: str, text: str | None, *path: str) -> UUID | None:
    """The uuid of a filter's or argument's id; one that fits nothing where it is another thing's."""
    if text is None:
        return None
    found, uuid = parse_id(text, *path)
    return uuid if found == type_name else UUID(int=0)
