"""What the transport needs from its owner: who is calling, what that may cost, and a context for the resolvers."""

from collections.abc import Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from enum import Enum, auto
from typing import Literal, Protocol


class Ending(Enum):
    """Why what a caller has open ends before its time."""

    FORBIDDEN = auto()  # the token is good no more
    RECONNECT = auto()  # to be admitted anew: what the caller may do has changed


class Caller(Protocol):
    """One admitted request, or one socket from its `connection_init` on."""

    @property
    def scope(self) -> Hashable:
        """What public answers vary by: municipality id and language."""

    @property
    def signed_in(self) -> bool: ...

    @property
    def expires_at(self) -> float | None:
        """When the token ends, in seconds since 1970; None without one."""


class Gate(Protocol):
    async def admit(
        self,
        *,
        authorization: Sequence[str],
        municipality: str | None,
        host: str | None,
        accept_language: str | None,
        peer: str | None,
        forwarded_for: str | None,
    ) -> Caller:
        """`authorization` has one entry for each such header: two are for the gate to refuse.

        Raises RequestError for a bad token and for a municipality that is unknown or not the token's.
        """

    def stands(self, caller: Caller) -> bool:
        """Whether a caller without a token, admitted before, would be admitted as the same now."""

    def ending(self, caller: Caller) -> Ending | None:
        """Whether a stream or socket of a caller, admitted before, has to end. Asked when it opens and at
        `Pipeline.review`."""

    async def charge(self, caller: Caller, points: int) -> None:
        """A query is 1 point and 1 more for each 100 of cost, a mutation 5 a root field. Raises RateLimited."""

    def hold(self, caller: Caller, kind: Literal["socket", "stream"]) -> AbstractAsyncContextManager[None]:
        """Around all that a connection does from now on. Entering raises RateLimited where the caller has enough."""

    def context(self, caller: Caller, request_id: str, *, live: bool = False) -> object:
        """`info.context` of one operation, or of one event of a subscription (`live`). A RequestError ends it."""
