"""Requests to OpenID Providers: to addresses of the configuration and of what the configured issuer says of itself, and
to no other. Short, bounded, and nobody is sent on to somewhere else."""

from collections.abc import Mapping
from typing import Final

import httpx2
import orjson

from backend.errors import Unavailable

LARGEST_ANSWER: Final = 256 * 1024  # bytes; sets of keys have some kB
# Each provider has connections of its own, so that a slow one keeps only its own people waiting.
_LIMITS: Final = httpx2.Limits(max_connections=16, max_keepalive_connections=4, keepalive_expiry=30)
_TIMEOUT: Final = httpx2.Timeout(3.0, connect=2.0, pool=1.0)
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "heitto"}


class ProviderAway(Unavailable):
    """The provider gave no answer, or none that makes sense; `why` is for our log."""

    def __init__(self, why: str) -> None:
        super().__init__("The login service can't be reached right now. Try again in a moment.")
        self.why = why


def provider_client() -> httpx2.AsyncClient:
    """One for each provider. The environment's proxies and credentials are not used: settings are."""
    return httpx2.AsyncClient(
        limits=_LIMITS, timeout=_TIMEOUT, headers=_HEADERS, follow_redirects=False, trust_env=False
    )


async def ask(
    client: httpx2.AsyncClient,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    authorization: str | None = None,
) -> tuple[int, dict[str, object]]:
    """Status and JSON object of an answer, where it is 200 or 4xx. Raises ProviderAway."""
    headers = {"authorization": authorization} if authorization else {}
    try:
        async with client.stream("POST" if form else "GET", url, data=form, headers=headers) as answer:
            if answer.status_code != 200 and not 400 <= answer.status_code < 500:
                raise ProviderAway(f"status {answer.status_code}")
            body = await _bounded(answer)
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
        raise ProviderAway(type(error).__name__) from None
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        if answer.status_code == 200:
            raise ProviderAway("no JSON object")
        found = {}
    return answer.status_code, found


async def _bounded(answer: httpx2.Response) -> bytes:
    """The body as it was sent: something compressed, which nobody asked for, could be of any size."""
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > LARGEST_ANSWER:
            raise ProviderAway("answer too large")
    return bytes(body)
