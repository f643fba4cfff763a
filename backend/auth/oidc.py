"""One OpenID Provider as its client: authorization code flow with PKCE, and ID tokens that an app has got by itself.

Nothing here touches the database, and nobody holds a connection to it meanwhile.
"""

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, quote_plus, urlencode
from uuid import uuid4

import httpx2
import jwt

from backend.auth.client_keys import published
from backend.auth.id_tokens import NotVerified, Vouched, verify_id_token
from backend.auth.login_providers import LoginProvider, LoginProviders
from backend.auth.provider_documents import Documents, ProviderDocuments
from backend.auth.provider_requests import ProviderAway, ask, provider_client

ANSWER_SECONDS: Final = 4.0  # for all that a login asks of its provider
ASSERTION_SECONDS: Final = 60
REQUEST_SECONDS: Final = 600
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# What RFC 6749 section 5.2 lets a provider say; anything else it says is its own text, and in no log.
_REFUSALS: Final = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client"),
        *("unsupported_grant_type", "invalid_scope"),
    }
)


@dataclass(frozen=True, slots=True)
class OpenIdClient:
    provider: LoginProvider
    http: httpx2.AsyncClient
    documents: ProviderDocuments

    async def authorization_url(
        self, *, redirect_uri: str, state: str, nonce: str, code_challenge: str, locale: str
    ) -> str:
        """Where the person goes to log in. Raises ProviderAway."""
        provider = self.provider
        async with _in_time():
            endpoint = (await self.documents.current()).authorization_endpoint
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(provider.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
            "ui_locales": locale,
        }
        if provider.acr:
            asked["acr_values"] = " ".join(provider.acr)
        if provider.max_age is not None:
            asked["max_age"] = str(provider.max_age)
        if provider.signed_requests:
            request = await self._signed(
                {**asked, "aud": provider.issuer}, seconds=REQUEST_SECONDS, type_="oauth-authz-req+jwt"
            )
            asked = {name: asked[name] for name in ("response_type", "client_id", "scope")} | {"request": request}
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked, quote_via=quote)}"

    async def exchange(self, code: str, *, code_verifier: str, redirect_uri: str, nonce: str) -> Vouched:
        """Whom an authorization code stands for. Raises NotVerified, TooWeak, ProviderAway."""
        async with _in_time():
            documents = await self.documents.current()
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": code_verifier,
            }
            proof, authorization = await self._authentication(documents)
            status, answer = await ask(
                self.http, documents.token_endpoint, form=form | proof, authorization=authorization
            )
            if status == 429:
                raise ProviderAway("status 429")
            if status != 200:
                error = answer.get("error")
                raise NotVerified(f"code: {error if error in _REFUSALS else status}")
            token, access_token = answer.get("id_token"), answer.get("access_token")
            if not isinstance(token, str):
                raise NotVerified("no ID token")
            return await verify_id_token(
                self.provider,
                self.documents,
                token,
                nonce=nonce,
                access_token=access_token if isinstance(access_token, str) else None,
            )

    async def read(self, id_token: str, *, nonce: str) -> Vouched:
        """Whom an ID token is about that the app brings. Raises NotVerified, TooWeak, ProviderAway."""
        async with _in_time():
            return await verify_id_token(self.provider, self.documents, id_token, nonce=nonce)

    def public_keys(self) -> list[dict[str, object]]:
        """JWKs by which the provider knows what we signed, and encrypts for us."""
        provider = self.provider
        return published(provider.private_key_file, "sig") + published(provider.decryption_key_file, "enc")

    async def _authentication(self, documents: Documents) -> tuple[dict[str, str], str | None]:
        """How we prove who we are: fields of the form, and a header."""
        provider = self.provider
        if provider.private_key_file:
            claims = {"sub": provider.client_id, "aud": documents.token_endpoint}
            assertion = await self._signed(claims, seconds=ASSERTION_SECONDS, type_="JWT")
            return {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}, None
        if provider.secret is None:
            return {"client_id": provider.client_id}, None
        if documents.secret_in_body:
            return {"client_id": provider.client_id, "client_secret": provider.secret}, None
        # RFC 6749 section 2.3.1: both parts are form-encoded first.
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.secret)}"
        return {}, f"Basic {b64encode(pair.encode()).decode()}"

    async def _signed(self, claims: Mapping[str, str], *, seconds: int, type_: str) -> str:
        """A JWT of ours. In a thread: with an RSA key it takes milliseconds."""
        key, now = self.provider.private_key_file[0], int(time.time())
        told = {"iss": self.provider.client_id, "jti": str(uuid4()), "iat": now, "nbf": now, "exp": now + seconds}
        headers = {"kid": key.kid, "typ": type_}
        return await asyncio.to_thread(jwt.encode, {**told, **claims}, key.private, key.algorithm, headers)


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except TimeoutError:
        raise ProviderAway("timeout") from None


def clients_of(providers: LoginProviders) -> Mapping[str, Mapping[str, OpenIdClient]]:
    """By municipality and id. Nothing is asked of a provider before somebody logs in with it."""
    return {
        slug: {id: _client(provider) for id, provider in of_one.items()}
        for slug, of_one in providers.by_municipality.items()
    }


def _client(provider: LoginProvider) -> OpenIdClient:
    http = provider_client()
    return OpenIdClient(provider, http, ProviderDocuments(provider, http))
