"""Tokens as an attacker, or we by mistake, could write them."""

import base64
import json
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm

from backend.auth.keys import SigningKeys

Json = dict[str, Any]  # Any: what a token holds
OF_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: object) -> str:
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


@dataclass(frozen=True)
class Forger:
    """Knows a resident with a session, and everything of the service: also its private keys, to be wrong in one place
    alone. `second` is the other key of the service, of another type."""

    keys: SigningKeys
    second: ec.EllipticCurvePrivateKey
    issuer: str
    resident_id: UUID
    session_id: UUID
    municipality: str

    def claims(self, **changes: object) -> Json:
        """What we would sign; a change to None takes the claim out."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "heitto",
            "sub": str(self.resident_id),
            "sid": str(self.session_id),
            "jti": str(uuid4()),
            "iat": now,
            "exp": now + 900,
            "municipality": self.municipality,
            "roles": ["RESIDENT"],
            "strength": "EMAIL",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def header(self, **changes: object) -> Json:
        header = {"typ": "at+jwt", "alg": "EdDSA", "kid": self.keys.kid, **changes}
        return {name: value for name, value in header.items() if value is not None}

    def ours(self, header: object = None, payload: object = None) -> str:
        """Signed with our own key, whatever the header says."""
        signed = f"{part(self.header() if header is None else header)}.{part(self._or_claims(payload))}"
        assert isinstance(self.keys.private, Ed25519PrivateKey)
        return f"{signed}.{b64(self.keys.private.sign(signed.encode()))}"

    def with_claims(self, **changes: object) -> str:
        return self.ours(payload=self.claims(**changes))

    def with_header(self, **changes: object) -> str:
        return self.ours(self.header(**changes))

    def unsigned(self, algorithm: object, signature: str = "") -> str:
        return f"{part(self.header(alg=algorithm))}.{part(self.claims())}.{signature}"

    def strangers(self, **header: object) -> str:
        """Signed by somebody else's key of the right kind."""
        return self.signed(Ed25519PrivateKey.generate(), "EdDSA", **header)

    def signed(self, key: Any, algorithm: str, **header: object) -> str:  # Any: of every kind
        return jwt.encode(self.claims(), key, algorithm, self.header(alg=algorithm, **header))

    def by_second(self) -> str:
        """A good one, by the key that only verifies."""
        return self.signed(self.second, "ES256", kid=self.second_kid)

    @property
    def second_kid(self) -> str:
        return next(kid for kid in self.keys.public if kid != self.keys.kid)

    def with_public_key_as_secret(self, kind: str, algorithm: str = "HS256") -> str:
        public = self.keys.private.public_key()
        assert isinstance(self.keys.private, Ed25519PrivateKey)
        spki = PublicFormat.SubjectPublicKeyInfo
        secret = {
            "PEM": public.public_bytes(Encoding.PEM, spki),
            "PEM without its last line's end": public.public_bytes(Encoding.PEM, spki).strip(),
            "DER": public.public_bytes(Encoding.DER, spki),
            "raw": public.public_bytes(Encoding.Raw, PublicFormat.Raw),
            "JWK": json.dumps(self.jwk).encode(),
            "JWK set": json.dumps(dict(self.keys.jwks)).encode(),
            "kid": self.keys.kid.encode(),
            "nothing": b"",
        }[kind]
        digest = {"HS256": HMACAlgorithm.SHA256, "HS384": HMACAlgorithm.SHA384, "HS512": HMACAlgorithm.SHA512}[
            algorithm
        ]
        signed = f"{part(self.header(alg=algorithm))}.{part(self.claims())}"
        return f"{signed}.{b64(HMACAlgorithm(digest).sign(signed.encode(), secret))}"

    @property
    def jwk(self) -> Json:
        jwks: Any = self.keys.jwks["keys"]  # Any: JSON
        found: Json = jwks[0]
        return found

    def with_strangers_jwk(self, **header: object) -> str:
        stranger = Ed25519PrivateKey.generate()
        jwk = OKPAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
        return self.signed(stranger, "EdDSA", jwk=jwk, **header)

    def with_strangers_curve(self) -> str:
        stranger = ec.generate_private_key(ec.SECP256R1())
        jwk = ECAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
        return self.signed(stranger, "ES256", jwk=jwk)

    def tampered(self, which: int, place: str = "middle") -> str:
        """A good one with one bit of a part changed."""
        parts = self.ours().split(".")
        raw = bytearray(base64.urlsafe_b64decode(parts[which] + "=="))
        raw[{"first": 0, "middle": len(raw) // 2, "last": -1}[place]] ^= 1
        parts[which] = b64(bytes(raw))
        return ".".join(parts)

    def swapped(self, **changes: object) -> str:
        """A good one's signature under other claims."""
        header, _, signature = self.ours().split(".")
        return f"{header}.{part(self.claims(**changes))}.{signature}"

    def encrypted(self) -> str:
        """Looks like a JWE: five parts."""
        header = self.header(alg="dir", enc="A256GCM", cty="JWT")
        return ".".join((part(header), "", b64(b"i" * 12), b64(self.ours().encode()), b64(b"t" * 16)))

    def nested(self) -> str:
        return self.ours(self.header(cty="JWT"), self.ours().encode())

    def _or_claims(self, payload: object) -> object:
        return self.claims() if payload is None else payload
