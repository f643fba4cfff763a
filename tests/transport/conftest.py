from collections.abc import AsyncGenerator, Iterator

import httpx2
import pytest

from tests.transport import toy


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _nothing_ran_yet() -> Iterator[None]:
    toy.seen.clear()
    yield


@pytest.fixture
def gate() -> toy.ToyGate:
    return toy.ToyGate()


@pytest.fixture
async def client(gate: toy.ToyGate) -> AsyncGenerator[httpx2.AsyncClient, None]:
    app = toy.create_app(toy.pipeline(gate))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://heitto.example") as client:
        yield client
