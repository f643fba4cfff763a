"""A way to Redis on which commands are late, some by more than their sender waits."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def slow_way(path: Path, to: Path, rng: random.Random) -> AsyncIterator[None]:
    """Passes on what comes at the Unix socket `path`. What was sent arrives even when its sender has given up and gone.

    Most late is the question for the boards' records, which a writer asks between its reading of PostgreSQL and its
    writing to Redis: that makes it write what is old.
    """
    open_ends: set[asyncio.StreamWriter] = set()

    def delay(data: bytes) -> float:
        if b"HMGET" in data and b":placed:" in data:
            return rng.uniform(0.1, 0.24)
        return rng.uniform(0.1, 0.4) if rng.random() < 0.1 else rng.uniform(0, 0.03)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, redis = await asyncio.open_unix_connection(to)
        except OSError:
            writer.close()
            return
        ends = {writer, redis}
        open_ends.update(ends)
        await asyncio.gather(_pass_on(reader, redis, delay), _pass_on(there, writer, lambda _: 0))
        open_ends.difference_update(ends)

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        for end in open_ends:
            end.close()
        while open_ends:  # noqa: ASYNC110 # their tasks are the server's, and it doesn't wait for them
            await asyncio.sleep(0.01)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Callable[[bytes], float]) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            await asyncio.sleep(delay(data))
            if writer.is_closing():
                break
            writer.write(data)
    writer.close()
