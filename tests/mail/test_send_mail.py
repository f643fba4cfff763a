"""The job against a real SMTP server: sealed, sent, sent again, refused, too late, and no address in any log."""

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from aiosmtpd import smtp
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from backend.commands import find_municipality
from backend.db.pool import Connection
from backend.demo.load import SLUG
from backend.errors import Unavailable
from backend.jobs import queue
from backend.jobs import send_mail as send_mail_job
from backend.jobs.send_mail import NAME, forget_mails_to, pruning, send_mail, sending
from backend.mail.smtp import Delayed
from backend.settings import Settings

pytestmark = pytest.mark.anyio

TO = "aino.kanarialintu@example.org"
CODE = "271828"
PAYLOADS = "SELECT payload FROM pgqueuer WHERE entrypoint = 'send_mail' ORDER BY id"


@dataclass
class Sink:
    """Takes mail; or answers RCPT with `refuses`, the text holding the address as many servers' do."""

    refuses: str = ""
    slow: bool = False
    port: int = 0
    taken: list[Envelope] = field(default_factory=list)
    asked: int = 0

    async def handle_RCPT(  # noqa: N802 # aiosmtpd's name
        self, server: smtp.SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        self.asked += 1
        if self.slow:
            await asyncio.sleep(60)
        if self.refuses:
            return f"{self.refuses} <{address}>"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: smtp.SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 # likewise
        del server, session
        self.taken.append(envelope)
        return "250 OK"

    def messages(self) -> list[EmailMessage]:
        return [message_from_bytes(each.original_content or b"", policy=SMTP) for each in self.taken]


@asynccontextmanager
async def smtp_server(sink: Sink, tls: ssl.SSLContext | None = None, **options: object) -> AsyncIterator[Sink]:
    server = await asyncio.get_running_loop().create_server(
        lambda: smtp.SMTP(sink, **options),  # type: ignore[arg-type] # aiosmtpd's own options
        "127.0.0.1",
        sink.port,
        ssl=tls,
    )
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that the job and the queue say, whatever the level is that other tests have set."""
    lines: list[str] = []

    def keep(_: object, name: str, event: MutableMapping[str, Any]) -> str:  # Any: what is logged
        lines.append(f"{name} {event}")
        raise structlog.DropEvent

    everything = structlog.make_filtering_bound_logger(logging.DEBUG)
    for module in (send_mail_job, queue):
        monkeypatch.setattr(module, "log", structlog.wrap_logger(None, processors=[keep], wrapper_class=everything))
    return lines


def mailing(settings: Settings, **changed: object) -> Settings:
    given: dict[str, object] = {"mail_from": "noreply@ilola.example", "mail_link": "https://app.ilola.example/open"}
    given |= {"mail_folder": None, **changed}
    return settings.model_copy(update=Settings(**given).model_dump(include=set(given)))  # type: ignore[arg-type] # checked there


def through(settings: Settings, sink: Sink, options: str = "", user: str = "") -> Settings:
    return mailing(settings, smtp_url=f"smtp://{user}127.0.0.1:{sink.port}{options}")


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def enqueue(conn: Connection, settings: Settings, *, minutes: float = 15, template: str = "email_code") -> None:
    catalogue = await find_municipality(conn, SLUG)
    await send_mail(
        conn,
        settings,
        municipality_id=catalogue.id,
        to=TO,
        template=template,  # type: ignore[arg-type] # one of them
        locale="sv",
        values={"code": CODE, "secret": "salaisuus-1"},
        expires_at=datetime.now(UTC) + timedelta(minutes=minutes),
    )


async def payload(conn: Connection) -> queue.Payload:
    [text] = [row[0] for row in await conn.fetch(PAYLOADS)]
    loaded: queue.Payload = orjson.loads(text)
    return loaded


async def test_a_mail_is_sent_to_its_one_recipient(conn: Connection, settings: Settings) -> None:
    async with smtp_server(Sink()) as sink:
        sends = through(settings, sink)
        await enqueue(conn, sends)
        await sending(sends)(await payload(conn))
        [message] = sink.messages()
        assert (sink.taken[0].mail_from, sink.taken[0].rcpt_tos) == ("noreply@ilola.example", [TO])
        assert message["To"] == TO
        assert message["Subject"] == "Inloggningskod, Glädjeby"
        assert message["From"] == "Glädjeby <noreply@ilola.example>"
        assert CODE in message.get_content()
        assert "https://app.ilola.example/open#signIn=salaisuus-1" in message.get_content()


async def test_a_repeat_is_the_same_mail(conn: Connection, settings: Settings) -> None:
    async with smtp_server(Sink()) as sink:
        sends = through(settings, sink)
        await enqueue(conn, sends)
        for _ in range(2):  # the worker died before the queue knew
            await sending(sends)(await payload(conn))
        first, second = sink.taken
        assert first.content == second.content


async def test_nobody_reads_an_address_a_code_or_a_link_in_the_queue(conn: Connection, settings: Settings) -> None:
    await enqueue(conn, mailing(settings, mail_folder="unused"))
    rows = str(await conn.fetch("SELECT * FROM pgqueuer")) + str(await conn.fetch("SELECT * FROM pgqueuer_log"))
    rows += str(await payload(conn))
    assert "send_mail" in rows
    assert not [each for each in (TO, "kanarialintu", CODE, "salaisuus", "Glädjeby") if each in rows]


async def test_what_is_rolled_back_sends_nothing(conn: Connection, settings: Settings) -> None:
    transaction = conn.transaction()
    await transaction.start()
    await enqueue(conn, mailing(settings, mail_folder="unused"))
    await transaction.rollback()
    assert await conn.fetch(PAYLOADS) == []


async def test_without_mail_set_up_whoever_needs_it_is_told(conn: Connection, settings: Settings) -> None:
    with pytest.raises(Unavailable, match="can't send mail"):
        await enqueue(conn, settings.model_copy(update={"mail_folder": None}))
    assert await conn.fetch(PAYLOADS) == []


@pytest.mark.parametrize("answer", ["550 5.1.1 unknown user", "553 no such mailbox"])
async def test_a_mail_refused_for_good_is_dropped_with_one_line_without_the_address(
    conn: Connection, settings: Settings, logged: list[str], answer: str
) -> None:
    async with smtp_server(Sink(refuses=answer)) as sink:
        sends = through(settings, sink)
        await enqueue(conn, sends)
        await sending(sends)(await payload(conn))  # done: nothing is raised
        assert sink.asked == 1
    [line] = logged
    assert "mail_dropped" in line
    assert f"SMTPRecipientRefused {answer[:3]}" in line
    assert "kanarialintu" not in line


async def test_a_mail_refused_for_now_is_tried_again_and_no_log_names_the_address(
    conn: Connection, settings: Settings, database_url: str, logged: list[str]
) -> None:
    stopping = asyncio.Event()
    async with smtp_server(Sink(refuses="450 greylisted")) as sink:
        sends = through(settings, sink)
        send = sending(sends)

        async def watched(payload: queue.Payload) -> None:
            try:
                await send(payload)
            finally:
                if sink.refuses:
                    sink.refuses = ""
                else:
                    stopping.set()

        await enqueue(conn, sends)
        async with asyncio.timeout(20):
            await queue.work(database_url, jobs={NAME: watched}, hourly={}, stopping=stopping)
        assert (sink.asked, len(sink.taken)) == (2, 1)
    assert await conn.fetchval("SELECT count(*) FROM pgqueuer") == 0
    assert ["job_failed" in line for line in logged] == [True]
    kept = str(logged) + str(await conn.fetch("SELECT * FROM pgqueuer_log"))
    assert not [each for each in ("kanarialintu", CODE, "salaisuus") if each in kept]


async def test_a_server_that_is_away_only_delays(conn: Connection, settings: Settings) -> None:
    sends = through(settings, Sink(port=1))
    await enqueue(conn, sends)
    with pytest.raises(Delayed) as delayed:
        await sending(sends)(await payload(conn))
    assert (delayed.value.__context__, "kanarialintu" in str(delayed.value)) == (None, False)


async def test_a_server_that_is_slow_only_delays(
    conn: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.mail.smtp.SECONDS", 0.3)
    async with smtp_server(Sink(slow=True)) as sink:
        sends = through(settings, sink)
        await enqueue(conn, sends)
        with pytest.raises(Delayed, match=r"Timeout|Disconnected"):
            await sending(sends)(await payload(conn))


async def test_a_mail_that_comes_too_late_is_not_sent(conn: Connection, settings: Settings) -> None:
    async with smtp_server(Sink()) as sink:
        sends = through(settings, sink)
        await enqueue(conn, sends, minutes=-0.001)
        await sending(sends)(await payload(conn))
        assert sink.asked == 0


async def test_a_mail_sealed_with_another_key_is_dropped(conn: Connection, settings: Settings) -> None:
    async with smtp_server(Sink()) as sink:
        await enqueue(conn, mailing(settings, mail_folder="unused"))
        await sending(mailing(through(settings, sink), secret_key="another" * 8))(await payload(conn))
        assert sink.asked == 0


async def test_a_password_is_not_given_to_a_server_without_tls(conn: Connection, settings: Settings) -> None:
    given: list[bytes] = []

    def authenticate(*asked: object) -> AuthResult:
        login = asked[-1]
        assert isinstance(login, LoginPassword)
        given.append(login.password)
        return AuthResult(success=True)

    async with smtp_server(Sink(), authenticator=authenticate, auth_require_tls=False) as sink:
        plain = through(settings, sink, user="heitto:s%C3%A4laus@")
        await enqueue(conn, plain)
        with pytest.raises(Delayed):
            await sending(plain)(await payload(conn))
        assert (given, sink.taken) == ([], [])
        allowed = through(settings, sink, "?starttls=off", user="heitto:s%C3%A4laus@")
        await sending(allowed)(await payload(conn))
        assert (given, len(sink.taken)) == (["sälaus".encode()], 1)


async def test_files_are_private_found_by_recipient_and_removed(
    conn: Connection, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "mail"
    writes = mailing(settings, mail_folder=str(folder))
    await enqueue(conn, writes)
    job = await payload(conn)
    for _ in range(2):
        await sending(writes)(job)
    [file] = files(folder)  # the repeat is the same file
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "kanarialintu" not in file.name
    assert CODE in message_from_bytes(file.read_bytes(), policy=SMTP).get_content()
    for other in ("eino@example.org", "no address", "*"):
        await forget_mails_to(writes, other)
    assert files(folder) == [file]
    await forget_mails_to(settings, TO)  # mails are no files there
    await forget_mails_to(writes, TO.upper())
    assert files(folder) == []


async def test_a_last_word_in_a_file_names_nobody(conn: Connection, settings: Settings, tmp_path: Path) -> None:
    writes = mailing(settings, mail_folder=str(tmp_path))
    await enqueue(conn, writes, template="erased")
    await sending(writes)(await payload(conn))
    [file] = files(tmp_path)
    assert b"kanarialintu" not in file.read_bytes()


async def test_files_are_removed_after_their_days(settings: Settings, tmp_path: Path) -> None:
    await pruning(settings)()  # without a folder there is nothing to do
    for name, days in (("old.eml", 15.1), ("young.eml", 14.9), ("notes.txt", 99)):
        (tmp_path / name).touch()
        written = (tmp_path / name).stat().st_mtime - days * 86_400
        os.utime(tmp_path / name, (written, written))
    await pruning(mailing(settings, mail_folder=str(tmp_path)))()
    assert [file.name for file in files(tmp_path)] == ["notes.txt", "young.eml"]
