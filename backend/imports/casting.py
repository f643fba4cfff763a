"""One HTTP connection of a replay, as lean as Python allows: the client must not be what is measured.

HTTP/1.1 with keep-alive, one request in flight, answers with Content-Length; nothing else is understood.
"""

import asyncio
import re
import ssl
import time
from typing import Any, cast
from urllib.parse import urlsplit

from backend.errors import HeittoError

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ANSWER_SECONDS = 30
PATIENCE_SECONDS = 60
PAUSE_SECONDS = 0.2
_TRY_AGAIN = (429, 503)
_UNAVAILABLE = b'"UNAVAILABLE"'  # the code of an execution that failed; its status may be 200


class ReplayFailed(HeittoError):
    """The server takes no votes of ours. Those it took stand; a new replay needs another slug."""


class Connection(asyncio.Protocol):
    """`ask` raises OSError or TimeoutError when the answer is lost, whatever the server did with the request."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # cast: a stream's protocol gets a stream's transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or not self._answer or self._answer.done():
            return
        length = _LENGTH.search(self._received, 0, end)
        if not length:
            self._answer.set_exception(ConnectionError("an answer without Content-Length"))
        elif len(self._received) >= (whole := end + 4 + int(length[1])):
            status, body = int(self._received[9:12]), bytes(self._received[end + 4 : whole])
            self._received.clear()
            self._answer.set_result((status, body))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        if self._transport is None:
            raise ConnectionResetError("the server closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._answer

    def close(self) -> None:
        if self._transport:
            self._transport.abort()


async def open_connection(url: str) -> Connection:
    """Raises OSError."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    options: dict[str, Any] = {"ssl": ssl.create_default_context()} if secure else {}  # Any: options of many types
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, parts.hostname or "", parts.port or (443 if secure else 80), **options
    )
    return connection


class Client:
    """One connection, made anew when it is lost. `repeats` counts what was sent again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self.repeats = 0

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body; the request is sent until it is answered, so it must be safe to repeat.

        Raises ReplayFailed after a minute without an answer.
        """
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._connection = self._connection or await open_connection(self._url)
                status, body = await self._connection.ask(request)
                if status not in _TRY_AGAIN and _UNAVAILABLE not in body:
                    return status, body
                trouble = f"{status} {body[:200].decode(errors='replace')}"
            except OSError as error:
                trouble = str(error) or type(error).__name__
                self.close()
            if time.monotonic() > give_up_at:
                raise ReplayFailed(f"{self._url} gives no answer: {trouble}")
            self.repeats += 1
            await asyncio.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


def head(url: str, *, municipality: str, token: str) -> bytes:
    """A request up to its Content-Length."""
    parts = urlsplit(url)
    return (
        f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nHeitto-Municipality: {municipality}\r\nAuthorization: Bearer {token}\r\n"
    ).encode()


def tail(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
