"""Sends a mail: composed and sealed in the transaction that causes it, sent by a worker until it is too late.

Sent at least once. A repeat is the same to the byte, Message-ID and all, so that mail programs show it once.
"""

import asyncio
import base64
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Final
from uuid import UUID, uuid4

import orjson
import structlog

from backend.db import municipalities
from backend.db.pool import Connection
from backend.errors import Unavailable
from backend.jobs.queue import Chore, Job, Payload, enqueue
from backend.mail.addresses import BadAddress, mail_address
from backend.mail.folder import forget_mails, prune_mails, write_mail
from backend.mail.message import compose, mail_locale
from backend.mail.sealing import NotSealedByUs, seal, unseal
from backend.mail.smtp import Delayed, Refused, Server, deliver, parse_smtp_url
from backend.mail.texts import Template
from backend.settings import Settings, SettingsError

NAME: Final = "send_mail"
AT_ONCE: Final = 8  # connections to the mail server
SECONDS: Final = 10.0  # for one mail, the wait for a connection included: less than a worker has for stopping
LOCAL_SENDER: Final = "heitto@localhost"  # of mails that stay in a folder

log = structlog.get_logger()


async def send_mail(
    conn: Connection,
    settings: Settings,
    *,
    municipality_id: UUID,
    to: str,
    template: Template,
    locale: str,
    values: Mapping[str, str],
    expires_at: datetime,
) -> None:
    """Has a mail sent once the transaction of `conn` is committed, and not after `expires_at`, when what it says ends.

    `values`: `code` is shown in the text, `secret` goes into the link. Raises Unavailable where no mail is set up,
    BadAddress, and KeyError where the template needs another value.
    """
    if not settings.mail_configured:
        raise Unavailable("This server can't send mail: none is set up. Ask whoever runs it.")
    municipality, id, now = await municipalities.sender(conn, municipality_id), uuid4(), datetime.now(UTC)
    language = mail_locale(locale, municipality.locales)
    message = compose(
        template,
        values,
        id=id,
        to=to,
        sender=settings.mail_from or LOCAL_SENDER,
        municipality=municipality.name(language),
        locale=language,
        link=settings.mail_link,
        now=now,
        expires_at=expires_at,
        time_zone=municipality.time_zone,
    )
    mail = {"to": mail_address(to), "content": base64.b64encode(message.as_bytes()).decode("ascii")}
    payload = {
        "id": id,
        "template": template,
        "expires_at": expires_at,
        "sealed": seal(settings.secret_key, orjson.dumps(mail)),
    }
    await enqueue(conn, NAME, payload)


def sending(settings: Settings) -> Job:
    """The job, for a worker with these settings. Raises SettingsError."""
    server, turns = _server(settings), asyncio.Semaphore(AT_ONCE)

    async def run(payload: Payload) -> None:
        told = log.bind(mail=payload["id"], template=payload["template"])
        if datetime.now(UTC) >= datetime.fromisoformat(payload["expires_at"]):
            told.warning("mail_dropped", reason="it came too late")
            return
        try:
            async with asyncio.timeout(SECONDS), turns:
                await _hand_over(settings, server, payload)
        except (Refused, NotSealedByUs) as error:
            told.warning("mail_dropped", reason=str(error) or "sealed with another secret key")
        except TimeoutError:
            raise Delayed("too slow") from None

    return run


async def _hand_over(settings: Settings, server: Server | None, payload: Payload) -> None:
    mail = orjson.loads(unseal(settings.secret_key, payload["sealed"]))
    to, content = mail["to"], base64.b64decode(mail["content"])
    if settings.mail_folder:
        await asyncio.to_thread(
            write_mail,
            settings.mail_folder,
            settings.secret_key,
            to=to,
            content=content,
            shows_recipient=payload["template"] != "erased",
        )
    elif server:
        await deliver(server, sender=parseaddr(settings.mail_from)[1], to=to, content=content)
    else:
        raise Delayed("the worker has neither HEITTO_SMTP_URL nor HEITTO_MAIL_FOLDER")


def _server(settings: Settings) -> Server | None:
    url = settings.smtp_url.get_secret_value()
    try:
        return parse_smtp_url(url) if url else None
    except ValueError as error:
        raise SettingsError(f"HEITTO_SMTP_URL: {error}") from None


async def forget_mails_to(settings: Settings, address: str) -> None:
    """Removes what was written to an address, where mails are files. What lies in the queue is sealed, and ends."""
    if settings.mail_folder:
        with suppress(BadAddress):  # nothing was ever written to one
            await asyncio.to_thread(forget_mails, settings.mail_folder, settings.secret_key, address)


def pruning(settings: Settings) -> Chore:
    """Removes mails that have lain in the folder for long."""

    async def run() -> None:
        if settings.mail_folder:
            await asyncio.to_thread(prune_mails, settings.mail_folder, days=settings.mail_folder_days)

    return run
