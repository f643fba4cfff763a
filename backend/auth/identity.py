"""By what a person is recognised: keyed hashes of addresses, subjects of login providers, personal identity codes.

The hash is bound to kind and municipality, so that one leaked table says nothing about another, and the same person
can't be recognised across municipalities. Without the key nothing can be guessed from it (a personal identity code has
about 30 bits).
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final, Literal
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from backend.settings import Settings

Kind = Literal["EMAIL", "OIDC", "PERSON"]

_INFO: Final = b"heitto identity key"


@dataclass(frozen=True, slots=True)
class Identity:
    """A proven one. `email` is the address, of the kind EMAIL alone; not shown in logs."""

    kind: Kind
    subject_hash: bytes = field(repr=False)
    email: str | None = field(default=None, repr=False)


def identity_key(settings: Settings) -> bytes:
    """The setting, or where there is none a key made from the secret key (HKDF, RFC 5869)."""
    if given := settings.identity_key.get_secret_value():
        return given.encode()
    secret = settings.secret_key.get_secret_value().encode()
    return HKDF(SHA256(), length=32, salt=None, info=_INFO).derive(secret).hex().encode()


def subject_hash(key: bytes, *, municipality_id: UUID, kind: Kind, subject: str) -> bytes:
    """HMAC-SHA256. `subject` is normalised by whoever knows the kind: an address in lower case, a code in capitals, an
    issuer and its subject joined by a newline."""
    told = b"\0".join((kind.encode(), municipality_id.bytes.hex().encode(), subject.encode()))
    return hmac.digest(key, told, hashlib.sha256)
