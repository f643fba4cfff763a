"""Mails as files, for the demo and for looking at. They are found by recipient without naming one."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

from pydantic import SecretStr

from backend.mail.addresses import mail_address
from backend.mail.sealing import address_tag

DAY_SECONDS = 86_400


def write_mail(folder: Path, secret: SecretStr, *, to: str, content: bytes, shows_recipient: bool) -> Path:
    """A file that is whole or not there; the newest is last by name. Written again it stays one file.

    Without `shows_recipient` the address is in no line: for a last word to somebody whom we no longer know.
    """
    message = message_from_bytes(content, policy=SMTP)
    if not shows_recipient:
        message.replace_header("To", "undisclosed-recipients:;")
    written = message["Date"].datetime.strftime("%Y%m%dT%H%M%SZ")
    id = str(message["Message-ID"]).strip("<>").partition("@")[0]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{written}-{address_tag(secret, to)}-{id}.eml"
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".new-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(message.as_bytes())
        Path(name).replace(file)
    finally:
        Path(name).unlink(missing_ok=True)
    return file


def forget_mails(folder: Path, secret: SecretStr, address: str) -> int:
    """Removes what was written to this address; tells how many files. Raises BadAddress."""
    return _remove(folder.glob(f"*-{address_tag(secret, mail_address(address))}-*.eml"))


def prune_mails(folder: Path, *, days: int) -> int:
    """Removes what is older; tells how many files."""
    before = time.time() - days * DAY_SECONDS
    return _remove(file for file in folder.glob("*.eml") if _written(file) < before)


def _remove(files: Iterator[Path]) -> int:
    removed = 0
    for file in files:
        with suppress(FileNotFoundError):  # another worker was faster
            file.unlink()
            removed += 1
    return removed


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return time.time()
