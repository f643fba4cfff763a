"""Sign-in codes: six digits, worthless without the challenge they were made for."""

import hashlib
import hmac
import secrets
from typing import Final
from uuid import UUID

from pydantic import SecretStr

DIGITS: Final = 6
_INFO: Final = b"heitto email code\0"


def new_code() -> str:
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"


def read_code(typed: str) -> str | None:
    """What a person typed, with spaces between the digits or not; None where it can't be a code, and so is no guess."""
    code = "".join(typed.split())
    return code if len(code) == DIGITS and code.isascii() and code.isdigit() else None


def hash_code(secret: SecretStr, *, challenge_id: UUID, code: str) -> bytes:
    """Keyed: a million codes are tried in a second."""
    told = _INFO + challenge_id.bytes + code.encode()
    return hmac.digest(secret.get_secret_value().encode(), told, hashlib.sha256)


def is_code(challenge_hash: bytes, typed_hash: bytes) -> bool:
    return hmac.compare_digest(challenge_hash, typed_hash)
