"""Cursors of keyset pages: opaque, signed, and good for one list, order, filter and municipality only."""

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from backend.errors import BadUserInput

_MAC_BYTES = 10  # a forger gets at most another place in a list that is his to read


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in its list: the order's number (0 where the id alone orders), then the id."""

    key: int
    id: UUID


class Cursors:
    """`binding` is whatever the list depends on: municipality, list, order, filter."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.blake2b(secret, digest_size=32, person=b"heitto-cursor").digest()

    def encode(self, binding: str, place: Place) -> str:
        raw = place.key.to_bytes(8, "big", signed=True) + place.id.bytes
        return urlsafe_b64encode(raw + self._mac(binding, raw)).decode().rstrip("=")

    def decode(self, binding: str, text: str, *, argument: str) -> Place:
        """Raises BadUserInput for whatever this list never gave out."""
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != 24 + _MAC_BYTES or not hmac.compare_digest(raw[24:], self._mac(binding, raw[:24])):
            raise BadUserInput(f"{argument}: not a cursor of this list", path=[argument])
        return Place(int.from_bytes(raw[:8], "big", signed=True), UUID(bytes=raw[8:24]))

    def _mac(self, binding: str, raw: bytes) -> bytes:
        return hashlib.blake2b(binding.encode() + b"\0" + raw, key=self._key, digest_size=_MAC_BYTES).digest()
