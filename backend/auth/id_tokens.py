"""ID tokens: opened where they are encrypted, verified, and read (OpenID Connect Core, section 3.1.3.7)."""

import asyncio
import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import jwt
from joserfc import jwe
from joserfc.errors import JoseError

from backend.auth.client_keys import ClientKey
from backend.auth.login_providers import LoginProvider, Strength
from backend.auth.provider_documents import ProviderDocuments

LEEWAY_SECONDS: Final = 30
LONGEST_TOKEN: Final = 32 * 1024  # characters; with a hundred groups they have some kB
SHORTEST_RSA: Final = 2048
# Named one by one: joserfc refuses RSA-OAEP-256 otherwise, and takes what is not wanted here, as compressed ones.
_ENCRYPTION: Final = jwe.JWERegistry(
    algorithms=(
        *("RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"),
        *("A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"),
    ),
    strict_check_header=False,  # some repeat claims there (RFC 7519 section 5.3); they are of no consequence
)
_OPTIONS: Final[jwt.types.Options] = {"require": ["iss", "sub", "aud", "exp", "iat"]}
_KEY_TYPES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class NotVerified(Exception):
    """A token that proves nothing; `why` is one of our own words, for the log alone."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class TooWeak(NotVerified):
    """Somebody, but not as surely as was asked for."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom a provider vouches for. `person` is the personal identity code: never kept, logged or told."""

    subject: str = field(repr=False)
    strength: Strength
    person: str | None = field(repr=False)
    name: str | None = field(repr=False)
    email: str | None = field(repr=False)  # verified
    roles: frozenset[str]


async def verify_id_token(
    provider: LoginProvider, documents: ProviderDocuments, token: str, *, nonce: str, access_token: str | None = None
) -> Vouched:
    """Whom the token is about. Raises NotVerified, TooWeak, ProviderAway."""
    if len(token) > LONGEST_TOKEN:
        raise NotVerified("too long")
    if provider.decryption_key_file:
        # An RSA key takes a millisecond and more, of which the others need not know.
        token = await asyncio.to_thread(_opened, token, provider.decryption_key_file)
    header = _header(token, provider)
    kid = header.get("kid")
    if not isinstance(kid, str | None):
        raise NotVerified("kid")
    known = await documents.knowing(kid)
    fitting = [key for key in known.named(kid) if key.key_type == _KEY_TYPES[header["alg"][:2]]]
    if len(fitting) != 1:
        raise NotVerified("unknown key")
    claims = _decoded(token, fitting[0], provider, header["alg"])
    _check(claims, provider, nonce=nonce)
    if access_token is not None and "at_hash" in claims:
        _check_at_hash(claims["at_hash"], access_token, header["alg"])
    return _vouched(claims, provider)


def _opened(token: str, keys: tuple[ClientKey, ...]) -> str:
    """The signed token inside. Where keys are configured an unencrypted one is refused."""
    for key in keys:
        try:
            opened = jwe.decrypt_compact(token, key.jose, registry=_ENCRYPTION)
        except (JoseError, ValueError, TypeError):
            continue
        return (opened.plaintext or b"").decode("ascii", errors="replace")
    raise NotVerified("not encrypted for us")


def _header(token: str, provider: LoginProvider) -> Mapping[str, str]:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise NotVerified("malformed") from None
    if header.get("alg") not in provider.algorithms:
        raise NotVerified("algorithm")
    # An access or logout token has another type (RFC 9068, Back-Channel Logout): it is no word about a login.
    if header.get("typ", "JWT") not in ("JWT", "jwt") or "crit" in header:
        raise NotVerified("type")
    return header


def _decoded(token: str, key: jwt.PyJWK, provider: LoginProvider, algorithm: str) -> dict[str, object]:
    if key.key_type == "RSA" and key.key.key_size < SHORTEST_RSA:
        raise NotVerified("weak key")
    try:
        claims: dict[str, object] = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            audience=provider.audience or provider.client_id,
            issuer=provider.issuer,
            leeway=LEEWAY_SECONDS,
            options=_OPTIONS,
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise NotVerified(type(error).__name__) from None
    return claims


def _check(claims: Mapping[str, object], provider: LoginProvider, *, nonce: str) -> None:
    told = claims.get("nonce")
    if not isinstance(told, str) or not hmac.compare_digest(told.encode(errors="replace"), nonce.encode()):
        raise NotVerified("nonce")
    audience, party = claims["aud"], claims.get("azp")
    if (isinstance(audience, list) and len(audience) > 1 and party is None) or party not in (None, provider.client_id):
        raise NotVerified("azp")
    if provider.max_age is not None:
        at = claims.get("auth_time")
        oldest = time.time() - provider.max_age - LEEWAY_SECONDS
        if not isinstance(at, int | float) or not at >= oldest:  # so that it holds for what is no number, too
            raise NotVerified("auth_time")


def _check_at_hash(told: object, access_token: str, algorithm: str) -> None:
    """Half the hash that goes with the algorithm; EdDSA's with Ed25519 is SHA-512."""
    hashed = hashlib.new("sha512" if algorithm == "EdDSA" else f"sha{algorithm[2:]}", access_token.encode()).digest()
    half = urlsafe_b64encode(hashed[: len(hashed) // 2]).rstrip(b"=").decode()
    if not isinstance(told, str) or not hmac.compare_digest(told.encode(errors="replace"), half.encode()):
        raise NotVerified("at_hash")


def _vouched(claims: Mapping[str, object], provider: LoginProvider) -> Vouched:
    names = provider.claims
    subject, acr = claims["sub"], claims.get("acr")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or not subject.isprintable():
        raise NotVerified("sub")
    strength = provider.acr.get(acr, provider.strength) if isinstance(acr, str) else provider.strength
    if strength is None:
        raise TooWeak("acr")
    person = text_claim(claims, names.person) if names.person else None
    if names.person and strength == "STRONG" and person is None:
        raise NotVerified("no person")  # else the same person could come twice
    # Some providers write the truth value as text or as a number.
    verified = claim(claims, names.email_verified) in (True, "true", "1")
    return Vouched(
        subject=subject,
        strength=strength,
        person=person.upper() if person else None,
        name=text_claim(claims, names.name) if names.name else None,
        email=text_claim(claims, names.email) if verified else None,
        roles=_roles(claims, provider),
    )


def _roles(claims: Mapping[str, object], provider: LoginProvider) -> frozenset[str]:
    if provider.roles is None:
        return frozenset()
    told = claim(claims, provider.roles.claim)
    listed = told if isinstance(told, list) else [told]
    return frozenset(
        provider.roles.values[each] for each in listed if isinstance(each, str) and each in provider.roles.values
    )


def claim(claims: Mapping[str, object], path: str) -> object:
    """The claim of that name, or what is found by going into objects by its parts: `realm_access.roles`."""
    if path in claims:
        return claims[path]
    found: object = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def text_claim(claims: Mapping[str, object], path: str) -> str | None:
    """One line that can be stored; None for anything else."""
    found = claim(claims, path)
    return (found.strip() or None) if isinstance(found, str) and len(found) <= 320 and found.isprintable() else None
