"""An authenticator in software: real keys, real CBOR, real signatures (WebAuthn, level 3, sections 6.1 and 6.5)."""

import hashlib
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any, Literal

import cbor2
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

Json = dict[str, Any]  # Any: JSON
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One credential, as `navigator.credentials` gives it on the page of an `origin`."""

    algorithm: Literal["ES256", "EdDSA"] = "ES256"
    counts: bool = True
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    count: int = 0
    user: bytes = b""
    verifies: bool = True

    def __post_init__(self) -> None:
        self.p256 = ec.generate_private_key(ec.SECP256R1())
        self.ed25519 = Ed25519PrivateKey.generate()

    def create(self, options: str, origin: str, *, attestation: str = "none", **changes: Any) -> str:  # Any: as told
        asked = orjson.loads(options)
        self.user = decoded(asked["user"]["id"])
        client = self._client("webauthn.create", asked["challenge"], origin, **changes)
        data = self._data(changes.get("rp_id", asked["rp"]["id"]), ATTESTED)
        data += bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cbor2.dumps(self._cose())
        statement: Json = {}
        if attestation == "packed":
            algorithm = -7 if self.algorithm == "ES256" else -8
            statement = {"alg": algorithm, "sig": self._sign(data + hashlib.sha256(client).digest())}
        made = cbor2.dumps({"fmt": attestation, "attStmt": statement, "authData": data})
        return self._credential({"clientDataJSON": encoded(client), "attestationObject": encoded(made)})

    def get(self, options: str, origin: str, **changes: Any) -> str:  # Any: as told
        asked = orjson.loads(options)
        client = self._client("webauthn.get", asked["challenge"], origin, **changes)
        self.count += self.counts
        data = self._data(changes.get("rp_id", asked["rpId"]))
        signature = self._sign(data + hashlib.sha256(client).digest())
        return self._credential(
            {
                "clientDataJSON": encoded(client),
                "authenticatorData": encoded(data),
                "signature": encoded(signature),
                "userHandle": encoded(changes.get("user", self.user)),
            }
        )

    def _client(self, kind: str, asked: str, origin: str, **changes: Any) -> bytes:  # Any: as told
        told = {"type": changes.get("type", kind), "challenge": changes.get("challenge", asked), "origin": origin}
        return orjson.dumps(told | {"crossOrigin": False})

    def _data(self, rp_id: str, flags: int = 0) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _cose(self) -> dict[int, int | bytes]:
        if self.algorithm == "EdDSA":
            return {1: 1, 3: -8, -1: 6, -2: self.ed25519.public_key().public_bytes_raw()}
        point = self.p256.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}

    def _sign(self, data: bytes) -> bytes:
        if self.algorithm == "EdDSA":
            return self.ed25519.sign(data)
        return self.p256.sign(data, ec.ECDSA(SHA256()))

    def _credential(self, response: Json) -> str:
        id = encoded(self.credential_id)
        return orjson.dumps({"id": id, "rawId": id, "type": "public-key", "response": response}).decode()
