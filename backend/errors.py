"""Everything Heitto refuses, as exceptions. Imports nothing of ours.

HeittoError
├── RequestError          what a program got wrong, or a failure: a GraphQL error with `extensions.code`
│   ├── BadUserInput      malformed id, cursor, number, text               400
│   ├── QueryTooComplex   depth, aliases, tokens, cost over the limit      400
│   ├── Unauthenticated   no token where one is needed, or a bad one       401
│   ├── Forbidden         a role is missing                                403
│   ├── WrongMunicipality a token of another municipality                  403
│   ├── NoMunicipality    none named, or unknown                           404
│   ├── RateLimited       too many; carries seconds to wait                429
│   └── Unavailable       PostgreSQL cannot be reached in time             503
└── Refusal               what a person can mend: a `UserError` in the payload
"""

from typing import Self


class HeittoError(Exception):
    """Root of all refusals."""


class RequestError(HeittoError):
    """Shown as a GraphQL error. `status` is the HTTP status when nothing was executed."""

    code = "INTERNAL"
    status = 500

    def __init__(self, message: str, **extensions: object) -> None:
        super().__init__(message)
        self.message = message
        self.extensions = {"code": self.code, **extensions}

    def __copy__(self) -> Self:
        """The same, to be raised elsewhere."""
        copied = type(self).__new__(type(self), *self.args)
        copied.__dict__.update(self.__dict__)
        return copied


class BadUserInput(RequestError):
    code, status = "BAD_USER_INPUT", 400


class QueryTooComplex(RequestError):
    code, status = "QUERY_TOO_COMPLEX", 400


class Unauthenticated(RequestError):
    """Always the same text: why a token was refused is nobody's business but ours."""

    code, status = "UNAUTHENTICATED", 401

    def __init__(self) -> None:
        super().__init__("Sign in: a valid access token is needed.")


class Forbidden(RequestError):
    code, status = "FORBIDDEN", 403


class WrongMunicipality(RequestError):
    code, status = "WRONG_MUNICIPALITY", 403

    def __init__(self) -> None:
        super().__init__("The access token is for another municipality.")


class NoMunicipality(RequestError):
    code, status = "NOT_FOUND", 404

    def __init__(self) -> None:
        super().__init__("No such municipality. Name one with the header Heitto-Municipality.")


class RateLimited(RequestError):
    """`retry_after` in whole seconds; `more` are extensions."""

    code, status = "RATE_LIMITED", 429

    def __init__(self, retry_after: int, **more: object) -> None:
        super().__init__(f"Too many requests. Try again in {retry_after} s.", retryAfter=retry_after, **more)
        self.retry_after = retry_after


class Unavailable(RequestError):
    code, status = "UNAVAILABLE", 503

    def __init__(self, message: str = "The database can't be reached right now. Try again in a moment.") -> None:
        super().__init__(message)
        self.retry_after = 2


class Refusal(HeittoError):
    """A `UserError`: `code` is a UserErrorCode, `reason` a key of `messages.py`, `field` a path into the variables."""

    def __init__(self, code: str, *field: str, reason: str = "", **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.field = ("input", *field) if field else None
        self.reason = reason or code
        self.values = values
