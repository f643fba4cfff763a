"""From a template and its values to a message (RFC 5322), in one of our languages."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

from backend.mail.addresses import mail_address
from backend.mail.texts import LINKS, TEXTS, Template
from backend.messages import LOCALES

_MOMENT = {"fi": "{0.day}.{0.month}.{0.year} klo {0:%H.%M}", "sv": "{0.day}.{0.month}.{0.year} kl. {0:%H.%M}"}
_MOMENT["en"] = "{0.day} {0:%B} {0.year}, {0:%H:%M}"
_NOT_PRINTED = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def compose(
    template: Template,
    values: Mapping[str, str],
    *,
    id: UUID,
    to: str,
    sender: str,
    municipality: str,
    locale: str,
    link: str,
    now: datetime,
    expires_at: datetime,
    time_zone: str,
) -> EmailMessage:
    """The mail that `id` stands for: composed again with the same `now`, it is the same.

    `values` are what the text names: `code`. `secret` goes into the fragment of `link`, which no server's log sees.
    Raises KeyError where the text names what isn't given, BadAddress.
    """
    text = TEXTS[template][locale]
    secret, name = values.get("secret", ""), LINKS.get(template)
    given = {
        **values,
        "municipality": municipality,
        "link": f"{link}#{name}={quote(secret, safe='')}" if link and name and secret else "",
        "minutes": str(max(1, round((expires_at - now).total_seconds() / 60))),
        "until": _MOMENT[locale].format(expires_at.astimezone(ZoneInfo(time_zone))),
    }
    given = {name: _NOT_PRINTED.sub(" ", value).strip() for name, value in given.items()}
    own_name, address = parseaddr(sender)
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(own_name or given["municipality"], addr_spec=address)
    message["To"] = Address(addr_spec=mail_address(to))
    message["Subject"] = text.subject.format_map(given)
    message["Date"] = format_datetime(now.astimezone(UTC))
    message["Message-ID"] = f"<{id}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notices in return
    paragraphs = [part for part in text.body.split("\n\n") if given["link"] or "{link}" not in part]
    message.set_content("\n\n".join(paragraphs).format_map(given) + "\n", cte="quoted-printable")
    message["Content-Language"] = locale  # here: new content takes away all that is said of it
    return message


def mail_locale(wanted: str, municipality_locales: tuple[str, ...]) -> str:
    """The language wanted, else the municipality's first that there are texts in."""
    return next((locale for locale in (wanted, *municipality_locales) if locale in LOCALES), "en")
