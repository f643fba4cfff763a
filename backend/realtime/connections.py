"""How many connections stay open for one account, or for one network without one. Of this process alone: with several
HTTP processes an account may have as many times more."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from backend.errors import RateLimited

RETRY_SECONDS: Final = 10

Connection: TypeAlias = Literal["socket", "stream"]


@dataclass(frozen=True, slots=True)
class Most:
    account: int
    network: int


# A socket carries ten subscriptions, a stream one. A school or a library is one network.
MOST: Final[Mapping[Connection, Most]] = {"socket": Most(5, 200), "stream": Most(10, 200)}


class Connections:
    def __init__(self) -> None:
        self._open: Counter[Hashable] = Counter()

    @contextmanager
    def hold(self, kind: Connection, whose: Hashable, *, signed_in: bool) -> Iterator[None]:
        """Counts one for as long as it is open. Raises RateLimited where there are enough."""
        key, most = (kind, whose), MOST[kind]
        if self._open[key] >= (most.account if signed_in else most.network):
            raise RateLimited(RETRY_SECONDS)
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
