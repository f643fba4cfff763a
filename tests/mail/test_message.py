"""What mails look like: every text in every language, headers that can't be written into, addresses."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from string import Formatter
from typing import get_args
from uuid import UUID

import pytest
from pydantic import SecretStr

from backend.mail.addresses import BadAddress, mail_address
from backend.mail.message import compose, mail_locale
from backend.mail.sealing import NotSealedByUs, seal, unseal
from backend.mail.smtp import Server, parse_smtp_url
from backend.mail.texts import LINKS, TEXTS, Template
from backend.messages import LOCALES
from backend.settings import SettingsError, load_settings

NOW = datetime(2026, 5, 2, 9, 30, tzinfo=UTC)
ID = UUID("01890000-0000-7000-8000-000000000001")
SECRET = SecretStr("s" * 32)


def mail(template: Template = "email_code", locale: str = "fi", **changed: str) -> EmailMessage:
    composed = compose(
        template,
        {"code": changed.get("code", "012345"), "secret": changed.get("secret", "a/b c#d")},
        id=ID,
        to=changed.get("to", "aino@example.org"),
        sender=changed.get("sender", "noreply@ilola.example"),
        municipality=changed.get("municipality", "Ylä-Ilola"),
        locale=locale,
        link=changed.get("link", "https://app.ilola.example/open"),
        now=NOW,
        expires_at=NOW + timedelta(minutes=15),
        time_zone="Europe/Helsinki",
    )
    return message_from_bytes(composed.as_bytes(), policy=SMTP)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("template", get_args(Template))
def test_every_mail_is_there_in_every_language_and_names_the_municipality(template: Template, locale: str) -> None:
    message = mail(template, locale)
    text = message.get_content().replace("\r\n", "\n")
    assert "Ylä-Ilola" in message["Subject"]
    assert text.rstrip().endswith("Ylä-Ilola")
    assert not any(brace in text + message["Subject"] for brace in "{}")
    assert message["Content-Language"] == locale
    if template in LINKS:
        assert f"https://app.ilola.example/open#{LINKS[template]}=a%2Fb%20c%23d" in text
    names = {name for _, name, _, _ in Formatter().parse(TEXTS[template][locale].body) if name}
    assert names == {name for _, name, _, _ in Formatter().parse(TEXTS[template]["en"].body) if name}


def test_a_code_is_in_the_text_and_in_no_header() -> None:
    message = mail()
    assert "\n012345\n" in message.get_content().replace("\r\n", "\n")
    assert "15 minuuttia" in message.get_content()
    assert not any("012345" in value or "a%2Fb" in value for value in message.values())


def test_a_mail_says_when_its_link_ends_in_local_time() -> None:
    assert "2.5.2026 klo 12.45" in mail("invitation").get_content()
    assert "2.5.2026 kl. 12.45" in mail("invitation", "sv").get_content()
    assert "2 May 2026, 12:45" in mail("invitation", "en").get_content()


def test_without_a_page_for_links_the_code_stands_alone() -> None:
    text = mail(link="").get_content()
    assert "012345" in text
    assert "http" not in text
    assert "linkin" not in text


def test_headers_say_who_sent_it_that_nobody_shall_answer_and_are_the_same_each_time() -> None:
    message = mail()
    assert message["From"] == "Ylä-Ilola <noreply@ilola.example>"
    assert mail(sender="Kaupunki <noreply@ilola.example>")["From"] == "Kaupunki <noreply@ilola.example>"
    assert message["To"] == "aino@example.org"
    assert message["Message-ID"] == f"<{ID}@ilola.example>"
    assert message["Date"].datetime == NOW
    assert message["Auto-Submitted"] == "auto-generated"
    assert mail().as_bytes() == message.as_bytes()
    assert message.as_bytes().isascii()


@pytest.mark.parametrize("hostile", ["x\r\nBcc: all@example.org", "x\nBcc: all@example.org", "x\u2028Bcc: a@b.example"])
def test_no_value_becomes_a_header_or_a_line(hostile: str) -> None:
    message = mail(municipality=hostile, code=hostile, secret=hostile)
    assert message["Bcc"] is None
    assert "\nBcc" not in message.get_content()
    assert sorted(message.keys()) == sorted(mail().keys())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aino",
        "aino@",
        "@example.org",
        "aino@localhost",
        "aino@example.org\nBcc: all@example.org",
        "aino@example.org\r\n",
        "aino@example.org, all@example.org",
        "aino <aino@example.org>",
        "<aino@example.org>",
        '"aino"@example.org',
        "aino@[127.0.0.1]",
        "ai no@example.org",
        "aino@exa mple.org",
        "aino@@example.org",
        ".aino@example.org",
        "äiti@example.org",
        "aino@-example.org",
        "aino@example..org",
        "aino@" + "a" * 64 + ".org",
        "a" * 65 + "@example.org",
        "aino@" + "a." * 130 + "org",
        "aino\0@example.org",
    ],
)
def test_what_is_no_single_plain_address_is_refused_without_naming_it(text: str) -> None:
    with pytest.raises(BadAddress) as refused:
        mail_address(text)
    assert text == "" or text not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Aino.Aalto+heitto@Example.ORG ", "Aino.Aalto+heitto@example.org"),
        ("aino@ääkköset.example", "aino@xn--kkset-fraa0m.example"),
    ],
)
def test_an_address_keeps_its_name_and_gets_a_plain_domain(text: str, address: str) -> None:
    assert mail_address(text) == address


def test_a_language_without_texts_becomes_the_municipalitys() -> None:
    assert mail_locale("sv", ("fi", "sv")) == "sv"
    assert mail_locale("se", ("se", "fi")) == "fi"
    assert mail_locale("se", ()) == "en"


def test_what_is_sealed_is_opened_with_the_same_key_only() -> None:
    sealed = seal(SECRET, b"aino@example.org 012345")
    assert unseal(SECRET, sealed) == b"aino@example.org 012345"
    for secret, changed in ((SecretStr("t" * 32), sealed), (SECRET, sealed[:-8] + "AAAAAAA="), (SECRET, "")):
        with pytest.raises(NotSealedByUs):
            unseal(secret, changed)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://relay", Server("relay", 587, None, None, False, None)),
        ("smtp://relay:25?starttls=required", Server("relay", 25, None, None, False, True)),
        ("smtp://relay:25?starttls=off", Server("relay", 25, None, None, False, False)),
        ("smtp://me%40x:p%3Aw@relay", Server("relay", 587, "me@x", "p:w", False, True)),
        ("smtp://me:pw@relay?starttls=off", Server("relay", 587, "me", "pw", False, False)),
        ("smtps://me:pw@[::1]", Server("::1", 465, "me", "pw", True, False)),
    ],
)
def test_the_address_of_a_mail_server_is_read(url: str, server: Server) -> None:
    assert parse_smtp_url(url) == server


@pytest.mark.parametrize(
    "url", ["smtp://", "smtp://me:pw@relay?tls=no", "smtp://relay?starttls=maybe", "smtp://relay/x"]
)
def test_a_malformed_one_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"write smtp|only .starttls") as refused:
        parse_smtp_url(url)
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"smtp_url": "http://relay"}, "HEITTO_SMTP_URL: must start with smtp:// or smtps://"),
        ({"smtp_url": "smtp://relay"}, "HEITTO_MAIL_FROM: is needed with HEITTO_SMTP_URL"),
        ({"smtp_url": "smtp://relay", "mail_from": "a@b.example"}, "HEITTO_MAIL_LINK: is needed with HEITTO_SMTP_URL"),
        ({"mail_from": "Ilola"}, "HEITTO_MAIL_FROM: write noreply@ilola.example, or Name <noreply@ilola.example>"),
        ({"mail_link": "https://a.example/#x"}, "HEITTO_MAIL_LINK: must start with https:// and have no #"),
    ],
)
def test_settings_that_could_send_nothing_end_the_program_with_one_line(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(**given)
    assert str(refused.value) == said


def test_mail_is_configured_with_a_server_or_a_folder() -> None:
    assert not load_settings().mail_configured
    assert load_settings(mail_folder="mails").mail_configured
    assert load_settings(
        smtp_url="smtp://relay", mail_from="a@b.example", mail_link="https://c.example"
    ).mail_configured
