"""Our clients of Redis: a task that waits for one can be ended at any moment."""

import asyncio

import pytest

from backend.realtime.redis import Client, open_redis

pytestmark = pytest.mark.anyio

STEPS = 40  # turns of the loop: more than a command takes


async def forgotten(client: Client) -> list[int]:
    """After how many turns of the loop a cancellation was lost on whoever asks Redis again and again."""

    async def ask_on() -> None:
        while True:
            await client.set("asked", "1")

    await client.set("asked", "1")  # connects
    found = []
    for steps in range(STEPS):
        task = asyncio.create_task(ask_on())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        if not (await asyncio.wait([task], timeout=0.5))[0]:
            found.append(steps)
            while not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=0.001)
    return found


async def test_a_cancellation_is_never_lost(redis_url: str) -> None:
    client = open_redis(redis_url)
    assert await forgotten(client) == []
    await client.aclose()
