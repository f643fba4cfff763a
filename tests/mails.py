"""What was mailed, out of the queue: sealed there, so with the application's own key."""

import base64
import re
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import SMTP

import orjson

from backend.db.pool import Connection
from backend.mail.sealing import unseal
from backend.settings import Settings


@dataclass(frozen=True, slots=True)
class CodeMail:
    to: str
    code: str
    secret: str
    text: str = field(repr=False)


async def code_mails(conn: Connection, settings: Settings) -> list[CodeMail]:
    """Every sign-in code on its way, oldest first."""
    found = []
    for (payload,) in await conn.fetch("SELECT payload FROM pgqueuer WHERE entrypoint = 'send_mail' ORDER BY id"):
        job = orjson.loads(payload)
        if job["template"] != "email_code":
            continue
        mail = orjson.loads(unseal(settings.secret_key, job["sealed"]))
        message = message_from_bytes(base64.b64decode(mail["content"]), policy=SMTP)
        body = message.get_body()
        assert body
        text = body.get_content()
        [code], [secret] = re.findall(r"^(\d{6})\r?$", text, re.MULTILINE), re.findall(r"#signIn=(\S+)", text)
        found.append(CodeMail(mail["to"], code, secret, text))
    return found
