"""Logins with an OpenID Provider: begun here, ended by what the provider says of the person."""

from datetime import UTC, datetime
from uuid import UUID

import structlog

from backend.auth.id_tokens import LONGEST_TOKEN, NotVerified, TooWeak, Vouched
from backend.auth.identity import Identity, Kind, subject_hash
from backend.auth.login_providers import LoginProvider, is_web
from backend.auth.login_state import (
    LIFETIME,
    challenge_of,
    fits,
    is_challenge,
    is_verifier,
    nonce_of,
    verifier_of,
)
from backend.auth.oidc import OpenIdClient
from backend.auth.provider_requests import ProviderAway
from backend.auth.secrets import hash_secret, new_secret
from backend.context import Context, Info
from backend.db import logins
from backend.db.logins import LoginAttemptRow
from backend.db.pool import Connection, transaction
from backend.errors import Refusal
from backend.metrics import LOGINS
from backend.resolvers.claimed_roles import claim_roles
from backend.resolvers.sign_in import sign_in
from backend.rules.names import NAME_LIMIT, check_name
from backend.schema.logins import BeginLoginInput, BeginLoginPayload, CompleteLoginInput
from backend.schema.sessions import SessionPayload

LONGEST_CODE = 4096

log = structlog.get_logger()


async def begin_login(info: Info, input: BeginLoginInput) -> BeginLoginPayload:
    context = info.context
    client = _client(context, input.provider_id)
    if client is None:
        raise Refusal("NOT_FOUND", "providerId")
    if input.redirect_uri not in client.provider.redirect_uris:
        raise Refusal("INVALID", "redirectUri", reason="login_redirect_uri")
    if input.code_challenge is not None and not is_challenge(input.code_challenge):
        raise Refusal("INVALID", "codeChallenge", reason="login_code_challenge")
    # RFC 8252 section 8.1: an app that claims the scheme, too, sees state and code: all that such a login would need.
    anyones = context.viewer.resident_id is None and not is_web(input.redirect_uri)
    if input.code_challenge is None and anyones:
        raise Refusal("REQUIRED", "codeChallenge", reason="login_needs_challenge")
    state, key, locale = new_secret(), _key(context), input.locale or context.locale
    nonce = nonce_of(key, state)
    try:
        url = await client.authorization_url(
            redirect_uri=input.redirect_uri,
            state=state,
            nonce=nonce,
            code_challenge=input.code_challenge or challenge_of(verifier_of(key, state)),
            locale=locale,
        )
    except ProviderAway as away:
        _note(client.provider, "unavailable", away.why)
        raise
    expires_at = datetime.now(UTC) + LIFETIME
    attempt = LoginAttemptRow(
        client.provider.id, input.redirect_uri, input.code_challenge, locale, context.viewer.resident_id, expires_at
    )
    await _put(context, state, attempt)
    return BeginLoginPayload(authorization_url=url, state=state, nonce=nonce, expires_at=expires_at)


async def complete_login(info: Info, input: CompleteLoginInput) -> SessionPayload:
    """The provider is asked outside of any transaction: a slow one holds nothing that others need."""
    context = info.context
    _check_shape(input)
    await context.limit("LOGINS")
    async with transaction(context.pool) as conn:
        attempt = await logins.take_login(
            conn,
            municipality_id=context.municipality_id,
            state_hash=hash_secret(input.state),
            resident_id=context.viewer.resident_id,
            now=datetime.now(UTC),
        )
    client = _client(context, attempt.provider_id) if attempt else None
    if attempt is None or client is None:
        raise Refusal("INVALID", "state", reason="login_over")
    try:
        vouched = await _vouched(context, client, attempt, input)
    except ProviderAway as away:
        _note(client.provider, "unavailable", away.why)
        await _put(context, input.state, attempt)  # it was nobody's fault: the app may try again
        raise
    except TooWeak as weak:
        _note(client.provider, "too_weak", weak.why)
        raise Refusal("STRENGTH_TOO_LOW", reason="login_too_weak") from None
    except NotVerified as refused:
        _note(client.provider, "refused", refused.why)
        raise Refusal("INVALID", "idToken" if input.code is None else "code", reason="login_refused") from None
    payload = await _sign_in(context, client.provider, vouched, locale=attempt.locale)
    _note(client.provider, "done")
    return payload


def _check_shape(input: CompleteLoginInput) -> None:
    """What can't be right whatever the provider says uses no login up. Raises Refusal."""
    if (input.code is None) == (input.id_token is None):
        raise Refusal("INVALID", "code", reason="login_code_or_id_token")
    if input.code is not None and not 1 <= len(input.code) <= LONGEST_CODE:
        raise Refusal("INVALID", "code", reason="login_refused")
    if input.id_token is not None and not 1 <= len(input.id_token) <= LONGEST_TOKEN:
        raise Refusal("INVALID", "idToken", reason="login_refused")
    if input.code_verifier is not None and not is_verifier(input.code_verifier):
        raise Refusal("INVALID", "codeVerifier", reason="login_code_verifier")


async def _vouched(
    context: Context, client: OpenIdClient, attempt: LoginAttemptRow, input: CompleteLoginInput
) -> Vouched:
    """Raises NotVerified, TooWeak, ProviderAway."""
    key = _key(context)
    nonce = nonce_of(key, input.state)
    if input.id_token is not None:
        return await client.read(input.id_token, nonce=nonce)
    if attempt.code_challenge is None:
        verifier = verifier_of(key, input.state)
        if input.code_verifier is not None:
            raise NotVerified("verifier of nothing")
    else:
        verifier = input.code_verifier or ""
        if not fits(verifier, attempt.code_challenge):
            raise NotVerified("verifier")
    return await client.exchange(
        input.code or "", code_verifier=verifier, redirect_uri=attempt.redirect_uri, nonce=nonce
    )


async def _sign_in(context: Context, provider: LoginProvider, vouched: Vouched, *, locale: str) -> SessionPayload:
    async def then(conn: Connection, resident_id: UUID) -> None:
        await claim_roles(
            conn,
            municipality_id=context.municipality_id,
            resident_id=resident_id,
            provider=provider,
            vouched=vouched,
        )

    def identity(kind: Kind, subject: str) -> Identity:
        key = context.services.identity_key
        return Identity(kind, subject_hash(key, municipality_id=context.municipality_id, kind=kind, subject=subject))

    identities = [identity("OIDC", f"{provider.issuer}\n{vouched.subject}")]
    if vouched.person:
        identities.insert(0, identity("PERSON", vouched.person))
    return await sign_in(
        context,
        identities=identities,
        strength=vouched.strength,
        method="OIDC",
        display_name=_public_name(context, provider, vouched),
        locale=locale,
        then=then,
    )


def _public_name(context: Context, provider: LoginProvider, vouched: Vouched) -> str | None:
    """What the provider calls the person; not where a resident would so be taken for an official: they are given a
    name then, and may choose another."""
    name = vouched.name[:NAME_LIMIT].strip() if vouched.name else None
    if not name or provider.serves == "STAFF":
        return name
    try:
        check_name(name, catalogue=context.catalogue, field="displayName")
    except Refusal:
        return None
    return name


def _client(context: Context, provider_id: str) -> OpenIdClient | None:
    return context.services.login_clients.get(context.catalogue.slug, {}).get(provider_id)


def _key(context: Context) -> bytes:
    return context.services.settings.secret_key.get_secret_value().encode()


async def _put(context: Context, state: str, attempt: LoginAttemptRow) -> None:
    async with transaction(context.pool) as conn:
        await logins.begin_login(
            conn, municipality_id=context.municipality_id, state_hash=hash_secret(state), attempt=attempt
        )


def _note(provider: LoginProvider, outcome: str, why: str = "") -> None:
    """One line for each that failed; `why` is one of our own words, never the provider's or the person's."""
    LOGINS.labels(provider.key, outcome).inc()
    if why:
        log.warning("login failed", provider=provider.key, outcome=outcome, why=why)
