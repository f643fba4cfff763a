"""The keys of our access tokens: one signs, further ones only verify while a rotation lasts."""

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from backend.settings import SettingsError

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey

PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class SigningKeys:
    """`public` holds every key that verifies, the current one included, by kid; each is bound to its algorithm."""

    private: PrivateKey
    kid: str
    algorithm: str
    public: Mapping[str, PyJWK]
    jwks: Mapping[str, object]


def load_signing_keys(path: Path) -> SigningKeys:
    """Keys of a PEM file with Ed25519 or P-256 keys: the first one is private and signs, any further one only verifies.

    To rotate, put the new key first; take the old one out a token's lifetime later. Raises SettingsError.
    """
    try:
        blocks = [match.group() for match in PEM_BLOCK.finditer(path.read_bytes())]
    except OSError as error:
        raise _refused(path, error.strerror or "can't be read") from None
    if not blocks:
        raise _refused(path, "holds no PEM key")
    keys = [_read(path, block) for block in blocks]
    if not isinstance(keys[0], PrivateKey):
        raise _refused(path, "the first key must be a private one")
    published = [_jwk(key if isinstance(key, PublicKey) else key.public_key()) for key in keys]
    return SigningKeys(
        private=keys[0],
        kid=published[0]["kid"],
        algorithm=published[0]["alg"],
        public=MappingProxyType({jwk["kid"]: PyJWK(jwk) for jwk in published}),
        jwks=MappingProxyType({"keys": published}),
    )


def generate_key(path: Path) -> None:
    """Makes an Ed25519 key that only the owner may read. Raises FileExistsError, and never leaves half a file."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # made with mode 0600
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
        os.link(file.name, path)


def _read(path: Path, block: bytes) -> PrivateKey | PublicKey:
    try:
        private = b" PRIVATE KEY-----" in block.split(b"\n", 1)[0]
        key = load_pem_private_key(block, password=None) if private else load_pem_public_key(block)
    except TypeError:
        raise _refused(path, "is encrypted with a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _refused(path, "holds a malformed key") from None
    match key:
        case Ed25519PrivateKey() | Ed25519PublicKey():
            return key
        case EllipticCurvePrivateKey(curve=SECP256R1()) | EllipticCurvePublicKey(curve=SECP256R1()):
            return key
    raise _refused(path, "holds another kind of key than Ed25519 or P-256")


def _jwk(key: PublicKey) -> dict[str, str]:
    """Public JWK whose kid is the thumbprint of RFC 7638: SHA-256 over the required members in order of name."""
    if isinstance(key, Ed25519PublicKey):
        members, algorithm = OKPAlgorithm.to_jwk(key, as_dict=True), "EdDSA"
    else:
        members, algorithm = ECAlgorithm.to_jwk(key, as_dict=True), "ES256"
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
    kid = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    return {**members, "kid": kid, "alg": algorithm, "use": "sig"}


def _refused(path: Path, why: str) -> SettingsError:
    return SettingsError(f"HEITTO_SIGNING_KEY_FILE: {path}: {why}")
