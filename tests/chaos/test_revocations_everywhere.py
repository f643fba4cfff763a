"""Promise D10 with real processes: two workers, Redis and PostgreSQL that go away and come back."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.chaos.house import House, another_server, demo, scratch

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

Json = dict[str, Any]  # Any: what an answer holds
PROMISED = 5.0
CONNECTIONS = 16  # new ones each time, so that every worker is asked


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with scratch() as folder, demo(folder) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with httpx2.AsyncClient(timeout=10, limits=limits) as made:
        yield made


async def ask(client: httpx2.AsyncClient, url: str, query: str, token: str = "") -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return await client.post(url, json={"query": query}, headers=headers)


async def registered(client: httpx2.AsyncClient, url: str) -> str:
    input = f'{{locale: "fi", idempotencyKey: "{uuid4()}"}}'
    query = f"mutation {{ registerDevice(input: {input}) {{ accessToken }} }}"
    token: str = (await ask(client, url, query)).json()["data"]["registerDevice"]["accessToken"]
    return token


async def begun(client: httpx2.AsyncClient, url: str) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if (await client.get(url.replace("/graphql", "/readyz"))).status_code == 200:
                    return
            await asyncio.sleep(0.1)


async def statuses(client: httpx2.AsyncClient, url: str, token: str) -> set[int]:
    """Over many connections at once."""
    query = "{ viewer { resident { id } } }"
    answers = await asyncio.gather(*(ask(client, url, query, token) for _ in range(CONNECTIONS)))
    return {answer.status_code for answer in answers}


async def signed_out(client: httpx2.AsyncClient, url: str, token: str) -> float:
    """Signs out by one worker; in how many seconds all of them have refused the token."""
    query = "mutation { endAllSessions(input: {exceptCurrent: false}) { endedSessionIds } }"
    answer = await ask(client, url, query, token)
    assert len(answer.json()["data"]["endAllSessions"]["endedSessionIds"]) == 1
    return await until(client, url, token, {401})


async def until(client: httpx2.AsyncClient, url: str, token: str, wanted: set[int]) -> float:
    began = time.monotonic()
    while (found := await statuses(client, url, token)) != wanted:
        assert time.monotonic() < began + PROMISED, found
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def test_d10_who_signs_out_by_one_worker_is_refused_by_all(house: House, client: httpx2.AsyncClient) -> None:
    with another_server(house, house.folder / "another.log") as other:
        await house.ready(client, seconds=30)
        await begun(client, other)
        phone, bystander = await registered(client, house.url), await registered(client, other)
        for url in (house.url, other):
            assert await statuses(client, url, phone) == {200}
        await signed_out(client, house.url, phone)
        await until(client, other, phone, {401})
        for url in (house.url, other):
            assert await statuses(client, url, bystander) == {200}


async def test_d10_also_while_redis_is_paused(house: House, client: httpx2.AsyncClient) -> None:
    await house.ready(client, seconds=30)
    phone = await registered(client, house.url)
    paused = house.part("redis")
    assert paused
    paused.suspend()
    try:
        assert await statuses(client, house.url, phone) == {200}
        await signed_out(client, house.url, phone)
    finally:
        paused.resume()


async def test_d10_also_just_after_redis_and_a_worker_were_killed(house: House, client: httpx2.AsyncClient) -> None:
    await house.ready(client, seconds=30)
    phone = await registered(client, house.url)
    assert house.kill("redis", 0)
    await signed_out(client, house.url, phone)
    assert house.kill("web", 0)
    await house.ready(client, seconds=30)  # the worker that takes its place knows of it, too
    assert await statuses(client, house.url, phone) == {401}


async def test_d10_f2_without_postgresql_nobody_is_believed_and_after_it_all_are_within_five_seconds(
    house: House, client: httpx2.AsyncClient
) -> None:
    await house.ready(client, seconds=30)
    phone, gone = await registered(client, house.url), await registered(client, house.url)
    await signed_out(client, house.url, gone)
    paused = house.part("postgres")
    assert paused
    for process in (paused, *paused.children(recursive=True)):
        process.suspend()
    try:
        await asyncio.sleep(5)
        assert await statuses(client, house.url, phone) == {503}
        assert await statuses(client, house.url, gone) <= {401, 503}
    finally:
        for process in (*paused.children(recursive=True), paused):
            process.resume()
    await until(client, house.url, phone, {200})
    assert await statuses(client, house.url, gone) == {401}


async def test_d10_also_across_a_crash_of_postgresql(house: House, client: httpx2.AsyncClient) -> None:
    """Which gives out again the numbers of transactions that left nothing."""
    await house.ready(client, seconds=30)
    before, after = await registered(client, house.url), await registered(client, house.url)
    conn = await house.connect()
    for _ in range(50):  # numbers that are told in snapshots, and are forgotten by a crash
        async with conn.transaction():
            await conn.execute("SELECT pg_current_xact_id()")
            await conn.execute("SET LOCAL synchronous_commit = off")
    await signed_out(client, house.url, before)
    assert house.kill("postgres", 0)
    conn.terminate()
    await house.ready(client, seconds=30)
    await until(client, house.url, after, {200})
    assert await statuses(client, house.url, before) == {401}
    await signed_out(client, house.url, after)
