"""Our own keys as a client of OpenID Providers: they sign requests, and open what is encrypted for us."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey, RSAKey

from backend.auth.keys import PEM_BLOCK

SHORTEST_RSA: Final = 2048
MOST_KEYS: Final = 4  # an encrypted token that names none is tried with each


@dataclass(frozen=True, slots=True, eq=False)
class ClientKey:
    """`kid` is the thumbprint of RFC 7638, so nobody has to agree on names."""

    kid: str
    algorithm: Literal["RS256", "ES256"]
    private: RSAPrivateKey | EllipticCurvePrivateKey = field(repr=False)
    jose: RSAKey | ECKey = field(repr=False)


def load_client_keys(path: Path) -> tuple[ClientKey, ...]:
    """Private keys of a PEM file, RSA from 2048 bits or P-256. The first one signs; all of them open, so that a new key
    can be added before the old one goes. Raises ValueError."""
    try:
        blocks = [match.group() for match in PEM_BLOCK.finditer(path.read_bytes())]
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or 'it can not be read'}") from None
    if not 1 <= len(blocks) <= MOST_KEYS:
        raise ValueError(f"{path} must hold one to {MOST_KEYS} private keys in PEM")
    return tuple(_read(path, block) for block in blocks)


def published(keys: Sequence[ClientKey], use: Literal["sig", "enc"]) -> list[dict[str, object]]:
    """The public halves as JWKs, for a provider that fetches them."""
    algorithms = {key.kid: {"alg": key.algorithm} if use == "sig" else {} for key in keys}
    return [{**key.jose.as_dict(private=False), "kid": key.kid, "use": use, **algorithms[key.kid]} for key in keys]


def _read(path: Path, block: bytes) -> ClientKey:
    try:
        private = load_pem_private_key(block, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{path} holds something else than private keys without a passphrase") from None
    if isinstance(private, RSAPrivateKey) and private.key_size >= SHORTEST_RSA:
        rsa = RSAKey.import_key(block)
        return ClientKey(rsa.thumbprint(), "RS256", private, rsa)
    if isinstance(private, EllipticCurvePrivateKey) and isinstance(private.curve, SECP256R1):
        ec = ECKey.import_key(block)
        return ClientKey(ec.thumbprint(), "ES256", private, ec)
    raise ValueError(f"{path} holds another kind of key than RSA from {SHORTEST_RSA} bits or P-256")
