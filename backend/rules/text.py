"""Text that people write: one spelling (NFC), no blank edges, counted in code points."""

import unicodedata
from uuid import UUID

from backend.errors import BadUserInput, Refusal

# A UUID, or as many letters as hold 122 random bits and more.
_SHORTEST_KEY, _LONGEST_KEY = 20, 128


def optional_text(value: str | None, *, field: str, limit: int) -> str:
    """The text, or ''. Raises Refusal TOO_LONG past `limit` code points."""
    text = unicodedata.normalize("NFC", value or "").strip()
    if len(text) > limit:
        raise Refusal("TOO_LONG", field, limit=limit)
    return text


def required_text(value: str | None, *, field: str, limit: int) -> str:
    """The text. Raises Refusal REQUIRED where it is blank, TOO_LONG past `limit` code points."""
    text = optional_text(value, field=field, limit=limit)
    if not text:
        raise Refusal("REQUIRED", field)
    return text


def idempotency_key(value: str) -> str:
    """The key as kept: UUIDs in their usual spelling. Raises BadUserInput for one that can be guessed."""
    try:
        return str(UUID(value))
    except ValueError:
        pass
    if not (_SHORTEST_KEY <= len(value) <= _LONGEST_KEY and value.isascii() and value.isprintable()) or " " in value:
        raise BadUserInput(
            "input.idempotencyKey: must be a UUID, or 20 to 128 characters that hold at least 122 random bits",
            path=["input", "idempotencyKey"],
        )
    return value
