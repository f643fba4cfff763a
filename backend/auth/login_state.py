"""What ties the end of a login to its beginning, made out of 256 random bits that the app alone keeps.

The database has their hash. PKCE verifier and nonce are made from them with our key, so that nothing is kept of which
a reader of the database could make use.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Final

LIFETIME: Final = timedelta(minutes=10)
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1


def nonce_of(key: bytes, state: str) -> str:
    return _derived(key, b"nonce", state)


def verifier_of(key: bytes, state: str) -> str:
    """The PKCE verifier, where the app brings none of its own."""
    return _derived(key, b"verifier", state)


def challenge_of(verifier: str) -> str:
    """S256 of RFC 7636."""
    return _base64url(hashlib.sha256(verifier.encode("ascii")).digest())


def is_challenge(text: str) -> bool:
    return _CHALLENGE.fullmatch(text) is not None


def is_verifier(text: str) -> bool:
    return _VERIFIER.fullmatch(text) is not None


def fits(verifier: str, challenge: str) -> bool:
    """Whether an app's own verifier is the one it began with."""
    return is_verifier(verifier) and hmac.compare_digest(challenge_of(verifier), challenge)


def _derived(key: bytes, what: bytes, state: str) -> str:
    return _base64url(hmac.digest(key, b"heitto login " + what + b"\0" + state.encode(), hashlib.sha256))


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
