"""A way to Redis on which commands are late, some by more than their sender waits."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def slow_way(path: Path, to: Path, rng: random.Random) -> AsyncIterator[None]:
    """Passes on what comes at the Unix socket `path`: 0 to 100 ms later, one time in six 100 to 400 ms.

    What was sent arrives even when its sender has given up and gone.
    """
    ways: set[asyncio.Task[None]] = set()

    def delay() -> float:
        return rng.uniform(0.1, 0.4) if rng.random() < 1 / 6 else rng.uniform(0, 0.1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            ways.add(task)
            task.add_done_callback(ways.discard)
        try:
            there = await asyncio.open_unix_connection(to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, there[1], delay), _pass_on(there[0], writer, lambda: 0))

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        for way in list(ways):
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Callable[[], float]) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            await asyncio.sleep(delay())
            writer.write(data)
    writer.close()
