"""E-mail addresses that we send to: one plain address, fit for a header and for SMTP."""

import re
from typing import Final

LONGEST: Final = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets
LONGEST_LOCAL_PART: Final = 64

# RFC 5321's dot-string. Quoted local parts, literal addresses and local parts beyond ASCII (RFC 6531) are turned away:
# hardly anybody has one, and few servers take them.
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class BadAddress(ValueError):
    """Nothing that a mail could be sent to. Its text doesn't hold the address."""


def mail_address(text: str) -> str:
    """The address as it is sent to: the domain in small letters and ASCII. Raises BadAddress."""
    local_part, _, domain = text.strip(" ").rpartition("@")
    try:
        labels = domain.encode("idna").decode("ascii").lower().split(".")
    except UnicodeError:
        raise BadAddress("no mail domain") from None
    address = f"{local_part}@{'.'.join(labels)}"
    if not _LOCAL_PART.fullmatch(local_part) or len(local_part) > LONGEST_LOCAL_PART or len(address) > LONGEST:
        raise BadAddress("no mail address")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress("no mail domain")
    return address
