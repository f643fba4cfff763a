"""WebAuthn (W3C, level 3): what a browser is asked for, and whether what it sends is good.

Credentials are discoverable, so nobody is asked for a name and nothing is told of who has an account; the
authenticator has to verify its user (finger, face, PIN), so a passkey alone is two factors.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    parse_attestation_object,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

LONGEST: Final = 16_384  # characters of a credential as JSON; an attestation with certificates has a few thousand
MILLISECONDS: Final = 300_000  # for the person to find finger or key: the life of a challenge
_ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,  # Windows Hello on older machines
]
# We ask for none and trust no maker, so certificates of other formats aren't even looked at.
_FORMATS: Final = frozenset({AttestationFormat.NONE, AttestationFormat.PACKED})


class PasskeyRefused(Exception):
    """What was sent proves nothing. Why is nobody's business but ours."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    credential_hash: bytes
    public_key: bytes
    sign_count: int


def new_challenge() -> bytes:
    return secrets.token_bytes(32)


def relying_party(origin: str) -> str:
    """The host that a passkey is bound to: the page's own."""
    return urlsplit(origin).hostname or ""


def registration_options(*, origin: str, challenge: bytes, municipality: str, resident_id: UUID, name: str) -> str:
    """JSON for `navigator.credentials.create`."""
    options = generate_registration_options(
        rp_id=relying_party(origin),
        rp_name=municipality,
        user_id=resident_id.bytes,
        user_name=name,
        challenge=challenge,
        timeout=MILLISECONDS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        supported_pub_key_algs=_ALGORITHMS,
    )
    return options_to_json(options)


def login_options(*, origin: str, challenge: bytes) -> str:
    """JSON for `navigator.credentials.get`."""
    options = generate_authentication_options(
        rp_id=relying_party(origin),
        challenge=challenge,
        timeout=MILLISECONDS,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def verify_registration(sent: str, *, origins: Collection[str], challenge: bytes) -> NewCredential:
    """What was registered in answer to a challenge. Raises PasskeyRefused."""
    try:
        credential = parse_registration_credential_json(_short(sent))
        if parse_attestation_object(credential.response.attestation_object).fmt not in _FORMATS:
            raise PasskeyRefused("format of attestation")
        origin = _origin(credential.response.client_data_json, origins)
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=relying_party(origin),
            expected_origin=origin,
            require_user_verification=True,
            supported_pub_key_algs=_ALGORITHMS,
        )
    except Exception as error:  # whatever the libraries below make of bytes that anybody may send
        raise PasskeyRefused from error
    return NewCredential(_hash(verified.credential_id), verified.credential_public_key, verified.sign_count)


def credential_hash(sent: str) -> bytes:
    """By what a credential is found. Raises PasskeyRefused."""
    try:
        return _hash(parse_authentication_credential_json(_short(sent)).raw_id)
    except Exception as error:  # as above
        raise PasskeyRefused from error


def verify_login(sent: str, *, origins: Collection[str], challenge: bytes, public_key: bytes, sign_count: int) -> int:
    """The authenticator's count. Raises PasskeyRefused, also where it has not gone up.

    Whose it is follows from the credential alone: the user handle in it is that of the account which registered it, and
    that may have been joined into another since."""
    try:
        credential = parse_authentication_credential_json(sent)
        origin = _origin(credential.response.client_data_json, origins)
        return verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=relying_party(origin),
            expected_origin=origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        ).new_sign_count
    except Exception as error:  # as above
        raise PasskeyRefused from error


def _origin(client_data: bytes, origins: Collection[str]) -> str:
    """The page on which it was made, one of ours; it is in what the authenticator signs."""
    origin = parse_client_data_json(client_data).origin
    if origin not in origins:
        raise PasskeyRefused("another page's")
    return origin


def _short(sent: str) -> str:
    if len(sent) > LONGEST:
        raise PasskeyRefused("too long")
    return sent


def _hash(credential_id: bytes) -> bytes:
    return hashlib.sha256(credential_id).digest()
