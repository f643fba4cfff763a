"""Secrets that open something by themselves: refresh tokens, mailed links, invitations, the state of a login."""

import hashlib
import secrets


def new_secret() -> str:
    """256 random bits, safe in URLs."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """SHA-256, unsalted: there is nothing to guess in 256 random bits. Takes any text, lone surrogates too."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
