"""Reading HTTP requests: headers, bodies, query strings, and which media type the client prefers."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from backend.errors import BadUserInput
from backend.transport.answers import NotAcceptable, TooLarge, TooSlow, UnsupportedMediaType
from backend.transport.gate import Caller, Gate
from backend.transport.payload import Payload, read_json, read_payload

JSON = "application/json"
MAX_BODY = 128 * 1024
BODY_SECONDS = 10
MAX_PIECES = 500  # of a body: each is some 60 microseconds of work, whatever is in it
REMEMBERED_HEADERS = 1_000  # characters of those that decide; browsers' have 300


class Headers:
    """The request's headers, read once; repeated ones as one list (RFC 9110, 5.3), but every `authorization`."""

    __slots__ = ("_by_name", "authorization", "peer")

    def __init__(self, scope: Scope) -> None:
        self._by_name: Mapping[bytes, bytes] = dict(scope["headers"])
        if len(self._by_name) != len(scope["headers"]):
            self._by_name = _joined(scope["headers"])
        self.authorization = [v.decode("latin-1") for k, v in scope["headers"] if k == b"authorization"]
        self.peer: str | None = scope["client"][0] if scope.get("client") else None

    def deciding(self) -> tuple[object, ...]:
        """All that `negotiate`, `check_content` and `admit` look at."""
        get = self._by_name.get
        return (
            get(b"accept"),
            get(b"content-type"),
            get(b"content-encoding"),
            get(b"accept-language"),
            get(b"heitto-municipality"),
            get(b"host"),
            get(b"x-forwarded-for"),
            self.peer,
        )

    def get(self, name: bytes) -> str | None:
        value = self._by_name.get(name)
        return None if value is None else value.decode("latin-1")


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Two hosts, or two municipalities, are thereby the name of none."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = found[name] + b", " + value if name in found else value
    return found


@dataclass(slots=True)
class Door:
    """What the headers of a request without a token came to: who calls, and in which form the answer is wanted."""

    caller: Caller
    media: str


class Doors:
    """Those of late requests, by all the headers that decide them: most come again and again with the same ones."""

    most = 10_000

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._doors: dict[tuple[object, ...], Door] = {}

    def get(self, headers: "Headers") -> Door | None:
        """None where it must be found out anew."""
        door = self._doors.get(headers.deciding()) if not headers.authorization else None
        return door if door and self._gate.stands(door.caller) else None

    def put(self, headers: "Headers", door: Door) -> None:
        deciding = headers.deciding()
        if headers.authorization or sum(len(str(each)) for each in deciding) > REMEMBERED_HEADERS:
            return
        if len(self._doors) >= self.most:
            self._doors.clear()
        self._doors[deciding] = door


async def admit(
    gate: Gate, headers: Headers, *, municipality: str | None = None, authorization: Sequence[str] = ()
) -> Caller:
    """`municipality` and `authorization` are what was said outside the headers. Raises RequestError."""
    return await gate.admit(
        authorization=[*headers.authorization, *authorization],
        municipality=municipality or headers.get(b"heitto-municipality"),
        host=headers.get(b"host"),
        accept_language=headers.get(b"accept-language"),
        peer=headers.peer,
        forwarded_for=headers.get(b"x-forwarded-for"),
    )


def check_content(headers: Headers) -> None:
    """Exactly `application/json`: what a foreign page may send without being asked (CORS) is none of it."""
    if not _is_json((headers.get(b"content-type") or "")[:100]):
        raise UnsupportedMediaType("Send `Content-Type: application/json`, in UTF-8.")
    if (headers.get(b"content-encoding") or "identity").lower() != "identity":
        raise UnsupportedMediaType("Compressed bodies are not accepted.")


@lru_cache(maxsize=256)
def _is_json(content_type: str) -> bool:
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    return media == JSON and all(part.replace('"', "") in ("charset=utf-8", "charset=utf8") for part in parameters)


async def read_body(headers: Headers, receive: Receive) -> bytes:
    """Raises TooLarge, without reading on, and TooSlow."""
    length = headers.get(b"content-length")
    if length and length.isdecimal() and int(length[:10]) > MAX_BODY:
        raise TooLarge(f"A request may have {MAX_BODY // 1024} kB.")
    body, pieces = b"", 0
    more: bytes
    # What asyncio.timeout does, in a third of its time: every request comes by here.
    task, late = asyncio.current_task(), False

    def cut_off() -> None:
        nonlocal late
        late = True
        if task:
            task.cancel()

    timer = asyncio.get_running_loop().call_later(BODY_SECONDS, cut_off)
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadUserInput("The request was cut off.")
            more = message.get("body", b"")
            body += more
            pieces += 1
            if len(body) > MAX_BODY:
                raise TooLarge(f"A request may have {MAX_BODY // 1024} kB.")
            if pieces > MAX_PIECES:
                raise TooLarge(f"A body may come in {MAX_PIECES} pieces.")
            if not message.get("more_body"):
                return body
    except asyncio.CancelledError:
        if late and task and not task.uncancel():  # by nobody else
            raise TooSlow(f"The body did not arrive within {BODY_SECONDS} s.") from None
        raise
    finally:
        timer.cancel()


def read_query_string(scope: Scope) -> Payload:
    """The payload of a GET. Raises BadUserInput."""
    return read_parameters(query_parameters(scope))


def read_parameters(parameters: Mapping[str, str]) -> Payload:
    value: dict[str, object] = dict(parameters)
    for name in ("variables", "extensions"):
        if name in parameters:
            value[name] = read_json(parameters[name]) if parameters[name] else None
    return read_payload(value)


def query_parameters(scope: Scope) -> dict[str, str]:
    """Raises TooLarge, BadUserInput."""
    if len(scope["query_string"]) > MAX_BODY:
        raise TooLarge(f"A query string may have {MAX_BODY // 1024} kB.")
    try:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        raise BadUserInput("The query string has too many parameters.") from None
    if len(dict(pairs)) < len(pairs):
        raise BadUserInput("A parameter is given twice.")
    return dict(pairs)


def negotiate(headers: Headers, offers: tuple[str, ...]) -> str:
    """The offer the client prefers. Raises NotAcceptable."""
    return _preferred((headers.get(b"accept") or "*/*")[:500], offers)


@lru_cache(maxsize=256)
def _preferred(accept: str, offers: tuple[str, ...]) -> str:
    """By RFC 9110, section 12.5.1; at equal weight the one the client names first, then the one we do."""
    ranges = [_media_range(part, position) for position, part in enumerate(accept.split(","))]
    best: tuple[float, int, int, str] | None = None
    for rank, offer in enumerate(offers):
        fitting = [each for each in ranges if each[0] in (offer, offer.split("/")[0] + "/*", "*/*")]
        if not fitting:
            continue
        _, quality, position = max(fitting, key=lambda each: -each[0].count("*"))  # the most specific range decides
        candidate = (quality, -position, -rank, offer)
        if quality > 0 and (best is None or candidate > best):
            best = candidate
    if best is None:
        raise NotAcceptable(f"Answers are {' or '.join(offers)}.")
    return best[3]


def _media_range(part: str, position: int) -> tuple[str, float, int]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
    try:
        return media, float(quality), position
    except ValueError:
        return media, 0.0, position
