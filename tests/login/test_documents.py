"""When a provider is asked about itself and its keys: rarely, beside the logins, and by one for all."""

import asyncio
from pathlib import Path

import pytest

from backend.auth.login_providers import load_login_providers
from backend.auth.provider_documents import ProviderDocuments
from backend.auth.provider_requests import ProviderAway, provider_client
from tests.login.idp import Idp

pytestmark = pytest.mark.anyio


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def documents(idp: Idp, providers_file: Path, clock: Clock) -> ProviderDocuments:
    provider = load_login_providers(providers_file).by_municipality["ilola"]["tunnus"]
    return ProviderDocuments(provider, provider_client(), clock)


async def settled(documents: ProviderDocuments) -> None:
    if documents._reading:
        await asyncio.wait([documents._reading])


async def test_they_are_kept_and_renewed_beside_the_logins(
    documents: ProviderDocuments, idp: Idp, clock: Clock
) -> None:
    first = await documents.current()
    clock.now += 299
    assert await documents.current() is first
    clock.now += 2
    assert await documents.current() is first  # and doesn't wait
    await settled(documents)
    second = await documents.current()
    assert second is not first
    assert await idp.hits("/jwks") == 2
    clock.now += 601  # nobody came for ten minutes
    assert (await documents.current()).read_at == clock.now
    assert await idp.hits("/jwks") == 3


async def test_while_a_renewal_fails_the_old_ones_serve_for_ten_minutes(
    documents: ProviderDocuments, idp: Idp, clock: Clock
) -> None:
    first = await documents.current()
    await idp.set(status={"/jwks": 500})
    for _ in range(29):
        clock.now += 20
        assert await documents.current() is first
        await settled(documents)
    assert await idp.hits("/jwks") == 1 + 15  # from the fifth minute on, each time somebody comes
    clock.now += 20
    for _ in range(10):
        with pytest.raises(ProviderAway):
            await documents.current()
    assert await idp.hits("/jwks") == 1 + 16  # so soon after a failure nobody tries again
    await idp.set(status={})
    clock.now += 3
    assert await documents.current() is not first


async def test_an_unknown_key_is_looked_for_once_a_minute(documents: ProviderDocuments, idp: Idp, clock: Clock) -> None:
    await documents.current()
    clock.now += 1
    for _ in range(5):
        assert (await documents.knowing("nobody's")).named("nobody's") == []
    assert await idp.hits("/jwks") == 2
    clock.now += 60
    await documents.knowing("nobody's")
    assert await idp.hits("/jwks") == 3
    clock.now += 59
    await documents.knowing("somebody's")
    assert await idp.hits("/jwks") == 3


async def test_a_known_key_is_never_looked_for(documents: ProviderDocuments, idp: Idp) -> None:
    known = (await documents.current()).keys[0][0]
    for _ in range(5):
        assert len((await documents.knowing(known)).named(known)) == 1
    assert await idp.hits("/jwks") == 1


async def test_who_leaves_does_not_end_the_reading_for_others(documents: ProviderDocuments, idp: Idp) -> None:
    await idp.set(slow={"/jwks": 0.3})
    first, second = asyncio.create_task(documents.current()), asyncio.create_task(documents.current())
    await asyncio.sleep(0.1)
    first.cancel()
    assert (await second).keys
    assert await idp.hits("/jwks") == 1
