"""Access tokens: JWTs after RFC 9068, signed by our own key and good for minutes."""

import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID, uuid4

import jwt
import orjson

from backend.auth.keys import SigningKeys
from backend.errors import Unauthenticated

AUDIENCE = "heitto"
TTL_SECONDS = 900
LEEWAY_SECONDS = 30  # clocks of our own processes differ by less
LONGEST_SECONDS = 366 * 86_400  # from `iat` to `exp`, of tokens that commands give out
LONGEST_TOKEN = 8192  # characters; ours have about 600
CACHED_TOKENS = 8192  # a process; about 1.5 kB each

ROLES = frozenset({"RESIDENT", "OFFICIAL", "COORDINATOR", "MODERATOR", "ADMINISTRATOR"})
STRENGTHS = frozenset({"DEVICE", "EMAIL", "STRONG"})

_TYPE = "at+jwt"  # RFC 9068 section 2.1: an ID token can't pass for an access token
_HEADER = {"typ", "alg", "kid"}
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_OPTIONS: jwt.types.Options = {"require": ["exp", "iat", "iss", "aud", "sub", "jti"], "strict_aud": True}


@dataclass(frozen=True, slots=True)
class Claims:
    """Who a verified token says is calling. `municipality` is a slug, `expires_at` seconds of the epoch."""

    resident_id: UUID
    session_id: UUID
    municipality: str
    roles: frozenset[str]
    strength: str
    expires_at: int
    jti: str


def sign_access_token(
    keys: SigningKeys,
    *,
    issuer: str,
    resident_id: UUID,
    session_id: UUID,
    municipality: str,
    roles: Collection[str],
    strength: str,
    now: datetime,
    ttl: int = TTL_SECONDS,
) -> tuple[str, datetime]:
    """Token and the moment it expires, in whole seconds. `municipality` is a slug, `ttl` seconds."""
    issued_at = now.replace(microsecond=0)
    expires_at = issued_at + timedelta(seconds=ttl)
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": str(resident_id),
        "sid": str(session_id),
        "jti": str(uuid4()),
        "iat": issued_at,
        "exp": expires_at,
        "municipality": municipality,
        "roles": sorted(roles),
        "strength": strength,
    }
    headers = {"typ": _TYPE, "kid": keys.kid}
    return jwt.encode(claims, keys.private, algorithm=keys.algorithm, headers=headers), expires_at


def verify_access_token(keys: SigningKeys, token: str, *, issuer: str) -> Claims:
    """Claims of a token of ours. Raises Unauthenticated for anything else, never saying why."""
    if len(token) > LONGEST_TOKEN:
        raise Unauthenticated
    claims = _verify(keys, token, issuer)
    if claims.expires_at + LEEWAY_SECONDS <= time.time():
        raise Unauthenticated
    return claims


@lru_cache(maxsize=CACHED_TOKENS)  # refusals are raised, so only good tokens take a place
def _verify(keys: SigningKeys, token: str, issuer: str) -> Claims:
    try:
        header = _header(token)
        # We write these three and no others: a token with `crit`, `jku` or `jwk` isn't ours, and is refused unread.
        if header.keys() != _HEADER or header["typ"] != _TYPE:
            raise Unauthenticated
        # The key knows its algorithm; what the header says can only disagree with it.
        key = keys.public[header["kid"]]
        payload = jwt.decode(token, key, audience=AUDIENCE, issuer=issuer, leeway=LEEWAY_SECONDS, options=_OPTIONS)
        return _claims(payload)
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        raise Unauthenticated from None


def _header(token: str) -> dict[str, str]:
    """Only to choose the key: PyJWT reads it again, and everything else with it. (Its own way to the header takes as
    long as the rest of its work.) Raises ValueError."""
    first = token.partition(".")[0]
    header = orjson.loads(urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    if not isinstance(header, dict):
        raise ValueError
    return header


def _claims(payload: dict[str, object]) -> Claims:
    match payload:
        case {
            "sub": str(subject),
            "sid": str(session),
            "municipality": str(municipality),
            "roles": list(roles),
            "strength": str(strength),
            "iat": int(issued_at),
            "exp": int(expires_at),
            "jti": str(jti),
        } if (
            ROLES.issuperset(roles)
            and strength in STRENGTHS
            and _SLUG.fullmatch(municipality)
            and jti
            and issued_at < expires_at <= issued_at + LONGEST_SECONDS
        ):
            resident_id, session_id = UUID(subject), UUID(session)
            # UUID() also reads braces, `urn:` and capitals
            if (str(resident_id), str(session_id)) != (subject, session):
                raise ValueError
            return Claims(resident_id, session_id, municipality, frozenset(roles), strength, expires_at, jti)
    raise ValueError
