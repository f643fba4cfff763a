"""Refresh tokens: opaque, kept as hashes, new with every use, and reuse noticed (RFC 9700 section 4.14.2).

A session is a family of tokens. Its head is the youngest token that was ever used, the first one at the start.

    head ── used again: the last answer was lost      ->  one more child; children of one parent are siblings
    child of the head ── used for the first time      ->  becomes the head; siblings and older ones are spent
    any other token of the family                     ->  two parties hold it: the session ends

So a phone may ask again, or twice at once, and whichever answer it kept works; but of two parties that go on from
one token, only the first one can, and the second one's next use ends the session for both. (Deriving the successor
from its parent would save the siblings, but two parties in step would then never be noticed.)
"""

from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

LIFETIME = timedelta(days=90)  # sliding: counted from the last refresh


class Verdict(Enum):
    ROTATE = "rotate"
    REFUSE = "refuse"
    END = "end"  # reuse: end the session, commit that, then refuse


class PresentedToken(Protocol):
    """A refresh token and its session, loaded under the session's lock."""

    @property
    def token_hash(self) -> bytes: ...
    @property
    def parent_hash(self) -> bytes | None: ...
    @property
    def head_hash(self) -> bytes: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...


def decide_refresh(presented: PresentedToken, *, now: datetime) -> Verdict:
    """What to do with a token that belongs to a session."""
    if presented.ended_at is not None or presented.expires_at <= now:
        return Verdict.REFUSE
    if presented.head_hash in (presented.token_hash, presented.parent_hash):
        return Verdict.ROTATE
    return Verdict.END
