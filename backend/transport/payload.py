"""What a client sent, read with care: `{"query", "variables", "operationName", "extensions"}` and the text inside."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import orjson

from backend.errors import BadUserInput

MAX_JSON_DEPTH = 32
MAX_LIST = 100  # items; no input takes more
MAX_VALUES = 1_000  # in variables, used or not: each is looked at
PATH_SHOWN = 100  # characters, of what is quoted back
KEYS = frozenset({"query", "variables", "operationName", "extensions"})

# PostgreSQL stores no NUL, UTF-8 has no lone surrogates, and non-characters are not for interchange (Unicode 23.7).
_NONCHARACTERS = "".join(chr(plane | low) for plane in range(0, 0x110000, 0x10000) for low in (0xFFFE, 0xFFFF))
_UNSTORABLE = re.compile(f"[\0\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")
_HIGH = re.compile(rb"[\xef-\xf4]")  # first bytes of all non-characters in UTF-8, and of emoji


@dataclass(slots=True)  # not frozen, as all that is made for each request: it would take three times as long
class Payload:
    query: str
    variables: Mapping[str, object]
    operation_name: str | None


def read_json(raw: bytes | str) -> object:
    """Strict JSON in UTF-8. Raises BadUserInput, which names the place of a lone surrogate."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        check_values(_lenient(raw))
        raise BadUserInput(f"The request is not valid JSON: {error.msg[:100]}.") from None


def read_body_payload(body: bytes) -> Payload:
    """The payload of a JSON body. Raises BadUserInput as `read_json` and `read_payload` do."""
    return read_payload(read_json(body), storable=_surely_storable(body))


def _surely_storable(body: bytes) -> bool:
    """Whether no text in it can be one that can't be stored, and nothing is nested too deep or too long: true of nearly
    every body, and found out in less time than by looking at each. JSON has no NUL, infinity or surrogate unescaped."""
    small = body.count(b"{") + body.count(b"[") <= MAX_JSON_DEPTH and body.count(b",") < MAX_LIST
    return small and (body.isascii() or not _HIGH.search(body)) and b"\\u" not in body


def read_payload(value: object, *, storable: bool = False) -> Payload:
    """Raises BadUserInput for unknown keys, wrong types and, unless known to be `storable`, for unstorable text."""
    if not isinstance(value, dict):
        raise BadUserInput("Send one JSON object with a `query`; batches are not supported.")
    if not KEYS.issuperset(value):
        unknown = value.keys() - KEYS
        raise BadUserInput(f"Unknown key `{_cut(min(unknown))}`; known are {', '.join(sorted(KEYS))}.")
    query, variables = value.get("query"), value.get("variables")
    operation_name, extensions = value.get("operationName"), value.get("extensions")
    if not isinstance(query, str) or not query:
        raise BadUserInput("`query` must be a string and not empty.")
    if variables is not None and not isinstance(variables, dict):
        raise BadUserInput("`variables` must be an object.")
    if operation_name is not None and not isinstance(operation_name, str):
        raise BadUserInput("`operationName` must be a string.")
    if extensions is not None and not isinstance(extensions, dict):
        raise BadUserInput("`extensions` must be an object.")
    if variables and not storable:
        check_values(variables, "variables")
    if extensions and not storable:
        check_values(extensions, "extensions")
    if operation_name and not storable:
        check_text(operation_name, "operationName")
    return Payload(query, variables or {}, operation_name or None)


def check_values(value: object, path: str = "", depth: int = 1, left: int = MAX_VALUES) -> int:
    """How many more values there may be after this. Raises BadUserInput naming the path, as `variables.input.title`."""
    left -= 1
    if left < 0:
        raise BadUserInput(f"`{_cut(path)}` is beyond the {MAX_VALUES:,} values that a request may have.")
    if isinstance(value, str):
        check_text(value, path)
    elif isinstance(value, dict):
        _check_size(len(value), MAX_VALUES, path, depth)
        for key, item in value.items():
            check_text(key, f"{path}, a key")
            left = check_values(item, f"{path}.{key}"[:PATH_SHOWN] if path else key[:PATH_SHOWN], depth + 1, left)
    elif isinstance(value, list):
        _check_size(len(value), MAX_LIST, path, depth)
        for index, item in enumerate(value):
            left = check_values(item, f"{path}.{index}"[:PATH_SHOWN], depth + 1, left)
    elif isinstance(value, float) and not isfinite(value):
        raise BadUserInput(f"`{_cut(path)}` is not a number.")
    return left


def _check_size(length: int, most: int, path: str, depth: int) -> None:
    if depth > MAX_JSON_DEPTH:
        raise BadUserInput(f"JSON may be nested {MAX_JSON_DEPTH} levels deep.")
    if length > most:
        raise BadUserInput(f"`{_cut(path)}` has {length:,} items, at most {most:,} are allowed.")


def check_text(text: str, path: str) -> None:
    if _UNSTORABLE.search(text):
        raise BadUserInput(
            f"`{_cut(path)}` has a character that can't be stored: NUL, a lone surrogate or a non-character."
        )


def _cut(text: str) -> str:
    """Of what is quoted back, a piece, and only what can be written as UTF-8."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[:PATH_SHOWN])


def _lenient(raw: bytes | str) -> object:
    """The same JSON by a parser that takes lone surrogates and NaN; None where that one gives up as well."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
