"""One ASGI connection driven by hand: what a server would do, but step by step."""

import asyncio
from types import TracebackType
from typing import Any

import orjson
from starlette.types import ASGIApp, Message


class Wire:
    """`async with Wire(app, scope) as wire`; leaving it is the client's going away."""

    def __init__(
        self,
        app: ASGIApp,
        type: str,
        path: str,
        headers: dict[str, str] | list[tuple[bytes, bytes]] | None = None,
        **more: Any,  # Any: ASGI's own type
    ) -> None:
        named = headers if isinstance(headers, dict) else {}
        raw = headers if isinstance(headers, list) else [(k.lower().encode(), v.encode()) for k, v in named.items()]
        self.scope = {"type": type, "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b""}
        self.scope |= {"headers": raw, "client": ("192.0.2.1", 5000), "scheme": "http", "http_version": "1.1", **more}
        self._app = app
        self._in: asyncio.Queue[Message] = asyncio.Queue()
        self._out: asyncio.Queue[Message] = asyncio.Queue()
        self.blocked = False

    async def __aenter__(self) -> "Wire":
        self.task = asyncio.create_task(self._run())
        return self

    async def _run(self) -> None:
        await self._app(self.scope, self._in.get, self._send)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gone = "websocket.disconnect" if self.scope["type"] == "websocket" else "http.disconnect"
        self.put({"type": gone, "code": 1006})
        await asyncio.wait_for(self.task, 5)

    async def _send(self, message: Message) -> None:
        if self.blocked:
            await asyncio.Event().wait()  # a client that reads nothing
        self._out.put_nowait(message)

    def put(self, message: Message) -> None:
        self._in.put_nowait(message)

    def say(self, frame: object) -> None:
        self.put(
            {"type": "websocket.receive", "text": frame if isinstance(frame, str) else orjson.dumps(frame).decode()}
        )

    async def take(self) -> Message:
        return await asyncio.wait_for(self._out.get(), 5)

    def waiting(self) -> bool:
        """Whether something came that wasn't taken yet."""
        return not self._out.empty()

    async def hear(self) -> Any:  # Any: JSON
        message = await self.take()
        assert message["type"] == "websocket.send", message
        return orjson.loads(message["text"])

    async def closed(self) -> tuple[int, str]:
        message = await self.take()
        assert message["type"] == "websocket.close", message
        return message["code"], message.get("reason", "")
