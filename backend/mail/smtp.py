"""Hands a message to the mail server of HEITTO_SMTP_URL. Tells what came of it in words that hold no address."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib
from aiosmtplib import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

SECONDS: Final = 5.0  # for each answer of the server
PORTS: Final = {"smtp": 587, "smtps": 465}
STARTTLS: Final = {"required": True, "off": False, "offered": None}  # as aiosmtplib has it
_MAILS_OWN: Final = (
    SMTPSenderRefused,
    SMTPRecipientRefused,
    SMTPDataError,
)  # others are about the server or our account
_NOT_SIGNED_IN: Final = 530  # RFC 4954


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    user: str | None
    password: str | None
    use_tls: bool
    start_tls: bool | None


class Refused(Exception):
    """For good: this mail will not be taken (5xx)."""


class Delayed(Exception):
    """Not now."""


def parse_smtp_url(url: str) -> Server:
    """A password goes over TLS only, unless `starttls=off` says otherwise. Raises ValueError, without the password."""
    parts = urlsplit(url)
    asked = parse_qs(parts.query, keep_blank_values=True)
    if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/"):
        raise ValueError("write smtp://user:password@host:587 or smtps://…")
    starttls = asked.pop("starttls", ["required" if parts.password and parts.scheme == "smtp" else "offered"])[-1]
    if asked or starttls not in STARTTLS:
        raise ValueError("after the host only ?starttls=required, off or offered")
    tls = parts.scheme == "smtps"
    return Server(
        host=parts.hostname,
        port=parts.port or PORTS[parts.scheme],
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        use_tls=tls,
        start_tls=False if tls else STARTTLS[starttls],
    )


async def deliver(server: Server, *, sender: str, to: str, content: bytes) -> None:
    """Raises Refused, Delayed: without a cause, since aiosmtplib's errors hold addresses."""
    try:
        await aiosmtplib.send(
            content,
            sender=sender,
            recipients=[to],
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.use_tls,
            start_tls=server.start_tls,
            timeout=SECONDS,
        )
        return
    except SMTPRecipientsRefused as error:
        what: Exception = error.recipients[0]
    except (SMTPException, OSError) as error:
        what = error
    code = what.code if isinstance(what, SMTPResponseException) else 0
    told = f"{type(what).__name__} {code or ''}".rstrip()
    if isinstance(what, _MAILS_OWN) and 500 <= code < 600 and code != _NOT_SIGNED_IN:
        raise Refused(told)
    raise Delayed(told)
