"""Secrets of invitations: 32 random bytes in a mailed link, kept as a hash."""

import hashlib
import secrets
from datetime import timedelta
from typing import Final

LIFETIME: Final = timedelta(days=7)


def new_invitation_secret() -> str:
    return secrets.token_urlsafe(32)


def hash_invitation_secret(secret: str) -> bytes:
    """No salt or stretching: nobody guesses 256 bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
