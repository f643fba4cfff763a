"""The list of attacks on tokens: each is one refusal, the same for all."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from backend.auth import tokens
from backend.auth.keys import SigningKeys, load_signing_keys
from backend.auth.tokens import Claims, sign_access_token, verify_access_token
from backend.errors import Unauthenticated

ISSUER = "https://heitto.example"
RESIDENT = UUID("0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
SESSION = UUID("0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c")
NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())

Forge = Callable[[SigningKeys], str]


def sign(keys: SigningKeys, now: datetime = NOW) -> str:
    token, _ = sign_access_token(
        keys,
        issuer=ISSUER,
        resident_id=RESIDENT,
        session_id=SESSION,
        municipality="ilola",
        roles={"RESIDENT", "OFFICIAL"},
        strength="EMAIL",
        now=now,
    )
    return token


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def payload(**changes: object) -> dict[str, object]:
    """A payload we would sign; a change to None takes the claim out."""
    claims = {
        "iss": ISSUER,
        "aud": "heitto",
        "sub": str(RESIDENT),
        "sid": str(SESSION),
        "jti": "a",
        "iat": EPOCH,
        "exp": EPOCH + 900,
        "municipality": "ilola",
        "roles": ["RESIDENT"],
        "strength": "DEVICE",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def with_claims(**changes: object) -> Forge:
    """Signed with our own key: only the claims are wrong."""
    return with_header(body=payload(**changes))


def with_header(*, body: object = None, **changes: object) -> Forge:
    """Signed with our own key over a header with these changes; a change to None takes the field out."""

    def forge(keys: SigningKeys) -> str:
        header = {"typ": "at+jwt", "alg": "EdDSA", "kid": keys.kid, **changes}
        kept = {name: value for name, value in header.items() if value is not None}
        claims = payload() if body is None else body
        signed = f"{b64(json.dumps(kept).encode())}.{b64(json.dumps(claims).encode())}"
        assert isinstance(keys.private, Ed25519PrivateKey)
        return f"{signed}.{b64(keys.private.sign(signed.encode()))}"

    return forge


def unsigned(algorithm: str) -> Forge:
    def forge(keys: SigningKeys) -> str:
        header = {"typ": "at+jwt", "alg": algorithm, "kid": keys.kid}
        return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(payload()).encode())}."

    return forge


def signed_with_the_public_key(encoding: Encoding, format: PublicFormat) -> Forge:
    def forge(keys: SigningKeys) -> str:
        secret = keys.private.public_key().public_bytes(encoding, format)
        signer = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        header = {"typ": "at+jwt", "alg": "HS256", "kid": keys.kid}
        signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(payload()).encode())}"
        return f"{signed}.{b64(signer.sign(signed.encode(), secret))}"

    return forge


def signed_by_a_stranger(**header: object) -> Forge:
    return lambda keys: jwt.encode(
        payload(), Ed25519PrivateKey.generate(), "EdDSA", {"typ": "at+jwt", "kid": keys.kid, **header}
    )


def with_a_strangers_jwk(keys: SigningKeys) -> str:
    stranger = Ed25519PrivateKey.generate()
    jwk = jwt.algorithms.OKPAlgorithm.to_jwk(stranger.public_key(), as_dict=True)
    return jwt.encode(payload(), stranger, "EdDSA", {"typ": "at+jwt", "kid": keys.kid, "jwk": jwk})


def with_another_algorithms_key(keys: SigningKeys) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(payload(), key, "ES256", {"typ": "at+jwt", "kid": keys.kid})


def tampered(part: int) -> Forge:
    def forge(keys: SigningKeys) -> str:
        parts = sign(keys).split(".")
        middle = len(parts[part]) // 2
        parts[part] = parts[part][:middle] + chr(ord(parts[part][middle]) ^ 1) + parts[part][middle + 1 :]
        return ".".join(parts)

    return forge


def text(token: str) -> Forge:
    return lambda keys: token


ATTACKS: dict[str, Forge] = {
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg nOnE": unsigned("nOnE"),
    "alg empty": unsigned(""),
    "alg EdDSA, no signature": unsigned("EdDSA"),
    "alg no text": with_header(alg=["EdDSA"]),
    "alg missing": with_header(alg=None),
    "HS256 with the public PEM": signed_with_the_public_key(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "HS256 with the public DER": signed_with_the_public_key(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "HS256 with the raw public key": signed_with_the_public_key(Encoding.Raw, PublicFormat.Raw),
    "ES256 under our kid": with_another_algorithms_key,
    "a stranger's signature": signed_by_a_stranger(),
    "kid missing": with_header(kid=None),
    "kid unknown": with_header(kid="unknown"),
    "kid a path": with_header(kid="../../../../dev/null"),
    "kid SQL": with_header(kid="' OR 1=1 --"),
    "kid NUL": with_header(kid="\x00"),
    "kid a lone surrogate": with_header(kid="\ud800"),
    "kid 10 kB": with_header(kid="k" * 10_000),
    "kid a number": with_header(kid=7),
    "kid a list": with_header(kid=["a"]),
    "jku": signed_by_a_stranger(jku="https://attacker.example/jwks.json"),
    "x5u": signed_by_a_stranger(x5u="https://attacker.example/cert.pem"),
    "x5c": signed_by_a_stranger(x5c=["MIIB"]),
    "jwk": with_a_strangers_jwk,
    "jku under our signature": with_header(jku="https://attacker.example/jwks.json"),
    "crit unknown": with_header(crit=["heitto"], heitto=True),
    "crit empty": with_header(crit=[]),
    "b64 false": with_header(crit=["b64"], b64=False),
    "typ JWT": with_header(typ="JWT"),
    "typ missing": with_header(typ=None),
    "typ of another case": with_header(typ="AT+JWT"),
    "expired": with_claims(exp=EPOCH - 30),
    "exp no number": with_claims(exp="soon"),
    "exp a number in text": with_claims(exp=str(EPOCH + 900)),
    "exp a fraction": with_claims(exp=EPOCH + 900.5),
    "exp infinite": with_claims(exp=float("inf")),
    "exp no number, NaN": with_claims(exp=float("nan")),
    "nbf ahead": with_claims(nbf=EPOCH + 31),
    "iat ahead": with_claims(iat=EPOCH + 31),
    "exp missing": with_claims(exp=None),
    "iat missing": with_claims(iat=None),
    "iss missing": with_claims(iss=None),
    "aud missing": with_claims(aud=None),
    "sub missing": with_claims(sub=None),
    "jti missing": with_claims(jti=None),
    "jti empty": with_claims(jti=""),
    "municipality missing": with_claims(municipality=None),
    "roles missing": with_claims(roles=None),
    "strength missing": with_claims(strength=None),
    "aud of another": with_claims(aud="heitto-admin"),
    "aud a list": with_claims(aud=["heitto"]),
    "aud of another case": with_claims(aud="Heitto"),
    "iss of another": with_claims(iss="https://attacker.example"),
    "iss with a slash": with_claims(iss=ISSUER + "/"),
    "iss of another case": with_claims(iss="https://Heitto.example"),
    "iss a list": with_claims(iss=[ISSUER]),
    "sub no UUID": with_claims(sub="alice"),
    "sub a UUID in braces": with_claims(sub=f"{{{RESIDENT}}}"),
    "sub a UUID in capitals": with_claims(sub=str(RESIDENT).upper()),
    "sub a number": with_claims(sub=1),
    "municipality empty": with_claims(municipality=""),
    "municipality a path": with_claims(municipality="../ilola"),
    "municipality in capitals": with_claims(municipality="Ilola"),
    "municipality with a newline": with_claims(municipality="ilola\n"),
    "municipality a list": with_claims(municipality=["ilola"]),
    "roles text": with_claims(roles="RESIDENT"),
    "roles unknown": with_claims(roles=["RESIDENT", "KING"]),
    "roles nested": with_claims(roles=[["RESIDENT"]]),
    "strength unknown": with_claims(strength="strong"),
    "payload a list": with_header(body=[1]),
    "header tampered": tampered(0),
    "payload tampered": tampered(1),
    "signature tampered": tampered(2),
    "8 kB and more": with_claims(padding="x" * 6_200),
    "100 kB": text("a." * 50_000),
    "empty": text(""),
    "dots": text(".."),
    "no base64": text("a!.b!.c!"),
    "NUL": text("\x00"),
    "a lone surrogate": text("\ud800.a.b"),
    "no ASCII": text("ä.ä.ä"),
    "deep JSON": text(f"{b64(b'[' * 5_000)}.e30.e30"),
}


@pytest.mark.parametrize("attack", ATTACKS)
@time_machine.travel(NOW, tick=False)
def test_a_forged_token_is_refused(keys: SigningKeys, attack: str) -> None:
    token = ATTACKS[attack](keys)
    for _ in range(2):
        with pytest.raises(Unauthenticated) as refusal:
            verify_access_token(keys, token, issuer=ISSUER)
        assert refusal.value.message == "Sign in: a valid access token is needed."


@time_machine.travel(NOW, tick=False)
def test_the_forger_of_these_tests_can_write_a_good_token(keys: SigningKeys) -> None:
    claims = verify_access_token(keys, with_header()(keys), issuer=ISSUER)
    assert claims == Claims(RESIDENT, SESSION, "ilola", frozenset({"RESIDENT"}), "DEVICE", EPOCH + 900, "a")


@time_machine.travel(NOW, tick=False)
def test_a_token_tells_who_calls(keys: SigningKeys) -> None:
    claims = verify_access_token(keys, sign(keys), issuer=ISSUER)
    assert claims.resident_id == RESIDENT
    assert claims.municipality == "ilola"
    assert claims.roles == {"RESIDENT", "OFFICIAL"}
    assert claims.strength == "EMAIL"
    assert claims.expires_at == EPOCH + 900
    assert UUID(claims.jti).version == 4


def test_a_verified_token_expires_all_the_same(keys: SigningKeys) -> None:
    token = sign(keys)
    with time_machine.travel(NOW, tick=False) as clock:
        verify_access_token(keys, token, issuer=ISSUER)
        clock.move_to(NOW + timedelta(seconds=929))
        verify_access_token(keys, token, issuer=ISSUER)
        clock.move_to(NOW + timedelta(seconds=930))
        with pytest.raises(Unauthenticated):
            verify_access_token(keys, token, issuer=ISSUER)


@time_machine.travel(NOW, tick=False)
def test_a_clock_thirty_seconds_ahead_is_forgiven(keys: SigningKeys) -> None:
    token = sign(keys, now=NOW + timedelta(seconds=30))
    assert verify_access_token(keys, token, issuer=ISSUER).expires_at == EPOCH + 930


@time_machine.travel(NOW, tick=False)
def test_only_good_tokens_take_a_place_in_the_cache(keys: SigningKeys) -> None:
    tokens._verify.cache_clear()
    verify_access_token(keys, sign(keys), issuer=ISSUER)
    for attack in ATTACKS.values():
        with pytest.raises(Unauthenticated):
            verify_access_token(keys, attack(keys), issuer=ISSUER)
    assert tokens._verify.cache_info().currsize == 1


@time_machine.travel(NOW, tick=False)
def test_a_verified_token_is_good_for_its_issuer_and_keys_only(keys: SigningKeys, tmp_path: Path) -> None:
    token = sign(keys)
    verify_access_token(keys, token, issuer=ISSUER)
    with pytest.raises(Unauthenticated):
        verify_access_token(keys, token, issuer="heitto")
    (tmp_path / "other.pem").write_bytes(_pem(Ed25519PrivateKey.generate()))
    with pytest.raises(Unauthenticated):
        verify_access_token(load_signing_keys(tmp_path / "other.pem"), token, issuer=ISSUER)


@time_machine.travel(NOW, tick=False)
def test_a_rotated_key_still_verifies_and_no_longer_signs(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    old, new = _pem(Ed25519PrivateKey.generate()), _pem(ec.generate_private_key(ec.SECP256R1()))
    path.write_bytes(old)
    token = sign(load_signing_keys(path))
    path.write_bytes(new + old)
    rotated = load_signing_keys(path)
    assert verify_access_token(rotated, token, issuer=ISSUER).resident_id == RESIDENT
    assert jwt.get_unverified_header(sign(rotated)) == {"alg": "ES256", "kid": rotated.kid, "typ": "at+jwt"}
    assert verify_access_token(rotated, sign(rotated), issuer=ISSUER).resident_id == RESIDENT
    path.write_bytes(new)
    with pytest.raises(Unauthenticated):
        verify_access_token(load_signing_keys(path), token, issuer=ISSUER)


@given(
    token=st.text(max_size=200)
    | st.lists(st.binary(max_size=60), min_size=3, max_size=3).map(lambda parts: ".".join(b64(part) for part in parts))
)
def test_any_text_is_refused_in_one_way(keys: SigningKeys, token: str) -> None:
    with pytest.raises(Unauthenticated):
        verify_access_token(keys, token, issuer=ISSUER)


def _pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
