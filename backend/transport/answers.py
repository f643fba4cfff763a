"""Errors as clients see them: always a code, never the inside of the server."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from traceback import format_exception

import orjson
import structlog
from graphql import GraphQLError, GraphQLFormattedError

from backend.errors import BadUserInput, RateLimited, RequestError, Unavailable
from backend.planned import ArgumentError

MAX_ERRORS = 5
MAX_MESSAGE = 300
MAX_LOCATIONS = 5  # of one error
INTERNAL_MESSAGE = "Something went wrong on our side. The request id helps us find out what."

Translate = Callable[[BaseException], RequestError | None]
"""Turns a failure of PostgreSQL or Redis into a RequestError; None for what it doesn't know."""

log = structlog.get_logger()


class InvalidDocument(RequestError):
    """Doesn't parse, or doesn't fit the schema or its variables. Carries every error with its place."""

    status = 400

    def __init__(self, code: str, errors: Sequence[GraphQLError]) -> None:
        self.code = code
        super().__init__(errors[0].message)
        self.errors = errors


class MethodNotAllowed(RequestError):
    code, status = "METHOD_NOT_ALLOWED", 405

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class NotAcceptable(RequestError):
    code, status = "NOT_ACCEPTABLE", 406


class TooSlow(RequestError):
    code, status = "REQUEST_TIMEOUT", 408


class TooLarge(RequestError):
    code, status = "PAYLOAD_TOO_LARGE", 413


class UnsupportedMediaType(RequestError):
    code, status = "UNSUPPORTED_MEDIA_TYPE", 415


@dataclass(slots=True)  # not frozen, as all that is made for each request: it would take three times as long
class Answer:
    """A finished body. `status` is 200 when something was executed, whatever came of it.

    `tag` is the `etag`, once made.
    """

    body: bytes
    status: int = 200
    has_errors: bool = False
    retry_after: int | None = None
    allow: str | None = None
    tag: str = ""

    @property
    def etag(self) -> str:
        """Strong: the same bytes, and only these, have it (RFC 9110, section 8.8.3)."""
        return self.tag or f'"{blake2b(self.body, digest_size=16).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was refused before anything was executed."""

    status: int
    errors: list[GraphQLFormattedError]
    retry_after: int | None
    allow: str | None

    def answer(self) -> Answer:
        return Answer(orjson.dumps({"errors": self.errors}), self.status, True, self.retry_after, self.allow)


@dataclass(frozen=True, slots=True)
class ErrorFormat:
    translate: Translate = lambda error: None

    def refused(self, error: Exception, *, request_id: str, operation: str | None = None) -> Failure:
        """The answer when nothing was executed. Logs what is no RequestError."""
        request_error = self._known(error)
        if request_error is None:
            self._log(error, request_id, operation)
            request_error = _Internal(request_id)
        if isinstance(request_error, InvalidDocument):
            errors = [_located(e, _own(e) or request_error) for e in request_error.errors[:MAX_ERRORS]]
        else:
            errors = [_formatted(request_error)]
        return Failure(request_error.status, errors, retry_after(request_error), getattr(request_error, "allow", None))

    def executed(
        self, errors: Sequence[GraphQLError], *, request_id: str, operation: str | None
    ) -> tuple[list[GraphQLFormattedError], int | None]:
        """The `errors` beside `data`, and the seconds to wait where one of them says so."""
        formatted: list[GraphQLFormattedError] = []
        waits: list[int] = []
        for error in islice(errors, MAX_ERRORS):
            known = self._known(error)
            if known is None:
                self._log(error.original_error or error, request_id, operation)
                known = _Internal(request_id)
            formatted.append(_located(error, known))
            waits.extend(filter(None, [retry_after(known)]))
        return formatted, max(waits, default=None)

    def _known(self, error: Exception) -> RequestError | None:
        for cause in causes(error):
            if isinstance(cause, RequestError):
                return cause
            if isinstance(cause, ArgumentError):
                return BadUserInput(cause.message)
            if found := self.translate(cause):
                return found
        return None

    def _log(self, error: Exception, request_id: str, operation: str | None) -> None:
        trace = "".join(format_exception(error))  # not `exc_info`: structlog may render locals, and so the variables
        log.error("request failed", request_id=request_id, operation=operation, exception=trace)


class _Internal(RequestError):
    def __init__(self, request_id: str) -> None:
        super().__init__(INTERNAL_MESSAGE, requestId=request_id)


def retry_after(error: RequestError) -> int | None:
    return error.retry_after if isinstance(error, (RateLimited, Unavailable)) else None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what GraphQLErrors wrap, outermost first."""
    while True:
        yield error
        if not isinstance(error, GraphQLError) or error.original_error is None:
            return
        error = error.original_error


def _own(error: GraphQLError) -> RequestError | None:
    """A scalar's own refusal of a variable."""
    return next((cause for cause in causes(error) if isinstance(cause, BadUserInput)), None)


def _located(error: GraphQLError, known: RequestError) -> GraphQLFormattedError:
    formatted = _formatted(known)
    if isinstance(known, InvalidDocument):
        formatted["message"] = _cut(error.message)
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations[:MAX_LOCATIONS]]
    if error.path:
        formatted["path"] = error.path
    return formatted


def _formatted(error: RequestError) -> GraphQLFormattedError:
    return {"message": _cut(error.message), "extensions": {**error.extensions, "code": error.code}}


def _cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
