"""What a provider says of itself (OpenID Connect Discovery) and the keys it signs with, kept and renewed.

Kept for ten minutes, and from the fifth on renewed beside the login that noticed, which waits for nothing. A token that
names a key nobody knows has them read again, so that keys rotate without a restart; at most once a minute, so that
made-up names send no storm to the provider. Whoever needs them while they are being read waits for that one reading.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx2
import jwt
import structlog
from jwt.types import JWKDict

from backend.auth.login_providers import LoginProvider, loopback_or_https
from backend.auth.provider_requests import ProviderAway, ask

RENEWED_SECONDS: Final = 300.0
KEPT_SECONDS: Final = 600.0
SEARCH_SECONDS: Final = 60.0  # between two readings for a key that isn't there
FAILED_SECONDS: Final = 3.0  # no further try so soon after one that failed
READING_SECONDS: Final = 3.0
MOST_KEYS: Final = 100

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Documents:
    """`keys` are public keys for signatures, with the id that the provider gives them, or none."""

    authorization_endpoint: str
    token_endpoint: str
    secret_in_body: bool
    keys: Sequence[tuple[str | None, jwt.PyJWK]]
    read_at: float

    def named(self, kid: str | None) -> Sequence[jwt.PyJWK]:
        """The keys that a token may mean: several only where it names none."""
        return [key for name, key in self.keys if kid is None or name == kid]


class ProviderDocuments:
    """Of one provider, in this process."""

    def __init__(
        self, provider: LoginProvider, client: httpx2.AsyncClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._provider, self._client, self._clock = provider, client, clock
        self._kept: Documents | None = None
        self._reading: asyncio.Task[Documents] | None = None
        self._failed_at = self._searched_at = float("-inf")

    async def current(self) -> Documents:
        """At most KEPT_SECONDS old. Raises ProviderAway."""
        kept = self._kept
        age = self._clock() - kept.read_at if kept else KEPT_SECONDS
        if kept is None or age >= KEPT_SECONDS:
            return await self._read()
        if age >= RENEWED_SECONDS and self._reading is None and not self._failed_lately():
            self._begin()
        return kept

    async def knowing(self, kid: str | None) -> Documents:
        """With the key `kid`, if the provider has it. Raises ProviderAway."""
        documents = await self.current()
        if documents.named(kid):
            return documents
        if self._reading is None:
            if self._clock() - self._searched_at < SEARCH_SECONDS:
                return documents
            self._searched_at = self._clock()
        return await self._read()

    def _failed_lately(self) -> bool:
        return self._clock() - self._failed_at < FAILED_SECONDS

    async def _read(self) -> Documents:
        """Together with whoever asks at the same time."""
        if self._reading is None:
            if self._failed_lately():
                raise ProviderAway("failed a moment ago")
            self._begin()
        assert self._reading  # noqa: S101 # begun above
        return await asyncio.shield(self._reading)

    def _begin(self) -> None:
        self._reading = asyncio.create_task(self._fetch())
        self._reading.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Documents]) -> None:
        self._reading = None
        if task.cancelled():
            return
        if error := task.exception():
            self._failed_at = self._clock()
            why = error.why if isinstance(error, ProviderAway) else type(error).__name__
            log.warning("login provider not read", provider=self._provider.key, why=why)
        else:
            self._kept = task.result()

    async def _fetch(self) -> Documents:
        began = self._clock()
        try:
            async with asyncio.timeout(READING_SECONDS):
                issuer = self._provider.issuer
                metadata = await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if metadata.get("issuer") != issuer:
                    raise ProviderAway("it says it is another issuer")
                keys = await self._get(self._endpoint(metadata, "jwks_uri"))
        except TimeoutError:
            raise ProviderAway("timeout") from None
        methods = metadata.get("token_endpoint_auth_methods_supported")
        return Documents(
            authorization_endpoint=self._endpoint(metadata, "authorization_endpoint"),
            token_endpoint=self._endpoint(metadata, "token_endpoint"),
            secret_in_body=isinstance(methods, list) and "client_secret_basic" not in methods,
            keys=_public_keys(keys),
            read_at=began,
        )

    async def _get(self, url: str) -> dict[str, object]:
        status, found = await ask(self._client, url)
        if status != 200:
            raise ProviderAway(f"status {status}")
        return found

    def _endpoint(self, metadata: Mapping[str, object], name: str) -> str:
        """As secure as the issuer itself."""
        url = metadata.get(name)
        if not isinstance(url, str) or not loopback_or_https(url) or "#" in url:
            raise ProviderAway(f"{name} is no address")
        if urlsplit(url).scheme != "https" and urlsplit(self._provider.issuer).scheme == "https":
            raise ProviderAway(f"{name} is less secure than the issuer")
        return url


def _public_keys(found: Mapping[str, object]) -> list[tuple[str | None, jwt.PyJWK]]:
    """What verifies signatures. Keys of other kinds are passed over, as RFC 7517 section 5 has it; shared ones too."""
    listed = found.get("keys")
    if not isinstance(listed, list):
        raise ProviderAway("no set of keys")
    keys, known = [], set()
    for each in listed[:MOST_KEYS]:
        if isinstance(each, dict) and str(each.get("kty")) in {"RSA", "EC", "OKP"} and each.get("use", "sig") == "sig":
            kid = each.get("kid")
            # Some list a key once for each algorithm; a token that names it means one key all the same.
            whole = str([kid, *(each.get(part) for part in ("kty", "n", "e", "crv", "x", "y"))])
            if whole in known:
                continue
            try:
                keys.append((kid if isinstance(kid, str) else None, jwt.PyJWK(_public(each))))
            except (jwt.PyJWTError, NotImplementedError, ValueError, TypeError):
                continue
            known.add(whole)
    return keys


def _public(jwk: JWKDict) -> JWKDict:
    return {name: value for name, value in jwk.items() if name not in {"d", "p", "q", "dp", "dq", "qi", "oth"}}
