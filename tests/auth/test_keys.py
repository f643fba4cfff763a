import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from backend.auth.keys import generate_key, load_signing_keys
from backend.settings import SettingsError

AnyPrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def private_pem(key: AnyPrivateKey, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def public_pem(key: AnyPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_generated_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    generate_key(tmp_path / "signing.pem")
    assert stat.S_IMODE((tmp_path / "signing.pem").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["signing.pem"]
    assert load_signing_keys(tmp_path / "signing.pem").algorithm == "EdDSA"


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        generate_key(path)
    assert path.read_bytes() == b"precious"


def test_the_kid_is_the_thumbprint_of_rfc_8037_appendix_a(tmp_path: Path) -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    path = tmp_path / "signing.pem"
    path.write_bytes(private_pem(Ed25519PrivateKey.from_private_bytes(seed)))
    keys = load_signing_keys(path)
    assert dict(keys.jwks) == {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
                "alg": "EdDSA",
                "use": "sig",
            }
        ]
    }


def test_the_first_key_signs_and_all_are_published_without_private_parts(tmp_path: Path) -> None:
    new, old = ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate()
    older = Ed25519PrivateKey.generate()
    path = tmp_path / "signing.pem"
    path.write_bytes(private_pem(new) + b"the old ones:\n" + private_pem(old) + public_pem(older))
    keys = load_signing_keys(path)
    published = keys.jwks["keys"]
    assert isinstance(published, list)
    assert keys.algorithm == "ES256"
    assert [jwk["alg"] for jwk in published] == ["ES256", "EdDSA", "EdDSA"]
    assert [jwk["kid"] for jwk in published] == list(keys.public)
    assert published[0]["kid"] == keys.kid
    assert not any("d" in jwk for jwk in published)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (b"", "holds no PEM key"),
        (b"\x00\xff" * 100, "holds no PEM key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds a malformed key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds a malformed key"),
        (public_pem(Ed25519PrivateKey.generate()), "the first key must be a private one"),
        (private_pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"x")), "is encrypted with a passphrase"),
        (private_pem(rsa.generate_private_key(65537, 2048)), "holds another kind of key than Ed25519 or P-256"),
        (
            private_pem(ec.generate_private_key(ec.SECP384R1())),
            "holds another kind of key than Ed25519 or P-256",
        ),
    ],
)
def test_an_unfit_key_file_is_one_line_naming_the_setting(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "signing.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as refusal:
        load_signing_keys(path)
    assert str(refusal.value) == f"HEITTO_SIGNING_KEY_FILE: {path}: {why}"
