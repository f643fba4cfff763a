"""What a subscriber costs our server in memory: many watch the board, and the growth is shared out."""

import asyncio
import contextlib
import json
import resource
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import connect

from bench import stack
from bench.contenders import Contender
from bench.machine import resident_megabytes
from bench.running import Bench, Broken, running

_QUERY = "subscription{leaderboardChanged(first:20){rank score idea{id title voteCount}}}"
_FIRST = 50  # before counting: what the first ones bring into the process is not theirs
_AT_ONCE = 10
_SETTLE_SECONDS = 2.0

Open = Callable[[contextlib.AsyncExitStack, int], Awaitable[None]]


def measure(bench: Bench, contender: Contender, count: int) -> dict[str, float]:
    """Bytes a subscriber over server-sent events and over WebSocket; nothing where none are wanted or can be measured.

    Raises Broken.
    """
    found = {}
    for name, opening in {"server-sent events": _event_stream, "WebSocket": _socket}.items() if count else ():
        _allow_files(count)
        stack.reset(bench.data)
        with running(bench, contender) as server:
            try:
                grown = asyncio.run(_grown(opening, bench.port, server.process.pid, count))
            except (OSError, EOFError, TimeoutError) as error:
                raise Broken(f"{count} subscribers over {name}: {error!r}") from error
        if grown is not None:
            found[name] = grown / count
            print(f"{count:,} subscribers over {name}: {found[name] / 1000:,.1f} kB each", flush=True)
    return found


def _allow_files(count: int) -> None:
    """A file descriptor a subscriber, on both sides: the server inherits what is allowed here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 500
    if soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )


async def _grown(opening: Open, port: int, server: int, count: int) -> float | None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(stack: contextlib.AsyncExitStack) -> None:
        async with limit, asyncio.timeout(30):
            await opening(stack, port)

    async with contextlib.AsyncExitStack() as opened:
        await asyncio.gather(*(one(opened) for _ in range(_FIRST)))
        await asyncio.sleep(_SETTLE_SECONDS)
        before = resident_megabytes(server)
        await asyncio.gather(*(one(opened) for _ in range(count)))
        await asyncio.sleep(_SETTLE_SECONDS)
        after = resident_megabytes(server)
    return None if before is None or after is None else (after - before) * 1e6


async def _event_stream(stack: contextlib.AsyncExitStack, port: int) -> None:
    """Returns when the present state of the board has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stack.callback(writer.close)
    body = json.dumps({"query": _QUERY})
    writer.write(
        f"POST /graphql/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    seen = b""
    while b'"leaderboardChanged":' not in seen:
        if not (more := await reader.read(65_536)):
            raise EOFError(seen[-300:].decode())
        seen += more


async def _socket(stack: contextlib.AsyncExitStack, port: int) -> None:
    """Likewise."""
    socket = await stack.enter_async_context(
        connect(f"ws://127.0.0.1:{port}/graphql", subprotocols=["graphql-transport-ws"], compression=None)  # type: ignore[list-item] # a NewType of str
    )
    await socket.send('{"type":"connection_init"}')
    await socket.recv()
    await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": _QUERY}}))
    if '"leaderboardChanged":' not in (answer := str(await socket.recv())):
        raise EOFError(answer[:300])
