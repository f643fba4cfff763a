"""What stands in the path of a download: made anew from the export's id whenever its owner asks; kept as a hash."""

import base64
import hashlib
import hmac
from typing import Final
from uuid import UUID

_LABEL: Final = b"heitto data export\0"


def export_secret(key: bytes, *, municipality_id: UUID, export_id: UUID) -> str:
    """256 bits, in 43 letters."""
    digest = hmac.digest(key, _LABEL + municipality_id.bytes + export_id.bytes, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
