"""What lies in the queue until it is sent, encrypted: addresses, codes and links.

The key comes from HEITTO_SECRET_KEY, so that there is one secret to keep. Who changes it loses the mails under way.
"""

import base64
import hmac
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

MAIL: Final = b"heitto mail"
TAGS: Final = b"heitto mail tags"


class NotSealedByUs(Exception):
    """Sealed with another key, or changed since."""


def seal(secret: SecretStr, content: bytes) -> str:
    return _box(secret).encrypt(content).decode("ascii")


def unseal(secret: SecretStr, sealed: str) -> bytes:
    """Raises NotSealedByUs."""
    try:
        return _box(secret).decrypt(sealed)
    except InvalidToken:
        raise NotSealedByUs from None


def address_tag(secret: SecretStr, address: str) -> str:
    """Tells mails to one address from others, without telling the address."""
    return hmac.digest(_key(secret, TAGS), address.lower().encode(), "sha256").hex()[:32]


def _box(secret: SecretStr) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_key(secret, MAIL)))


def _key(secret: SecretStr, purpose: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=purpose).derive(secret.get_secret_value().encode())
