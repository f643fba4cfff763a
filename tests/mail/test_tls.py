"""Mail servers with TLS, from the start or upon STARTTLS, whose certificate is good or isn't."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from backend.mail.smtp import Delayed, deliver, parse_smtp_url
from tests.mail.test_send_mail import Sink, smtp_server

pytestmark = pytest.mark.anyio

CONTENT = b"Subject: x\r\n\r\nx\r\n"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, with its key."""
    key, now = generate_private_key(SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = tmp_path / "mail.pem"
    file.write_bytes(
        made.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return file


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator of a private authority would have it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


async def sends(sink: Sink, url: str) -> int:
    server = parse_smtp_url(url.replace("PORT", str(sink.port)))
    await deliver(server, sender="noreply@ilola.example", to="aino@example.org", content=CONTENT)
    return len(sink.taken)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("options", ["", "?starttls=required", "?starttls=offered"])
async def test_starttls_is_taken_where_it_is_offered(context: ssl.SSLContext, options: str) -> None:
    async with smtp_server(Sink(), tls_context=context, require_starttls=True) as sink:
        assert await sends(sink, f"smtp://127.0.0.1:PORT{options}") == 1


@pytest.mark.usefixtures("trusted")
async def test_a_server_may_speak_tls_from_the_start(context: ssl.SSLContext) -> None:
    async with smtp_server(Sink(), tls=context) as sink:
        assert await sends(sink, "smtps://127.0.0.1:PORT") == 1


async def test_a_certificate_nobody_vouches_for_delays_the_mail(context: ssl.SSLContext) -> None:
    async with smtp_server(Sink(), tls_context=context) as sink:
        with pytest.raises(Delayed):
            await sends(sink, "smtp://127.0.0.1:PORT")
        assert sink.asked == 0


async def test_where_starttls_is_required_and_not_offered_nothing_is_sent() -> None:
    async with smtp_server(Sink()) as sink:
        with pytest.raises(Delayed):
            await sends(sink, "smtp://127.0.0.1:PORT?starttls=required")
        assert sink.asked == 0


async def test_starttls_may_be_declined(context: ssl.SSLContext) -> None:
    async with smtp_server(Sink(), tls_context=context) as sink:
        assert await sends(sink, "smtp://127.0.0.1:PORT?starttls=off") == 1
