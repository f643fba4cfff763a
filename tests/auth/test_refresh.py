"""The rule of refresh tokens, played through on a session kept in memory; its SQL is tried in tests/db."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.auth.refresh import LIFETIME, Verdict, decide_refresh
from backend.auth.secrets import hash_secret, new_secret

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Presented:
    token_hash: bytes
    parent_hash: bytes | None
    head_hash: bytes
    expires_at: datetime
    ended_at: datetime | None


@dataclass
class Session:
    """Does to its rows what sql/queries/sessions.sql does."""

    first: str = field(default_factory=new_secret)
    ended_at: datetime | None = None
    expires_at: datetime = NOW + LIFETIME

    def __post_init__(self) -> None:
        self.head = hash_secret(self.first)
        self.parents: dict[bytes, bytes | None] = {self.head: None}

    def refresh(self, token: str, now: datetime = NOW) -> str | None:
        """The next token, or None for a refusal."""
        presented = hash_secret(token)
        row = Presented(presented, self.parents[presented], self.head, self.expires_at, self.ended_at)
        verdict = decide_refresh(row, now=now)
        if verdict is Verdict.END:
            self.ended_at = now
        if verdict is not Verdict.ROTATE:
            return None
        successor = new_secret()
        self.head, self.expires_at = presented, now + LIFETIME
        self.parents[hash_secret(successor)] = presented
        return successor

    def must_refresh(self, token: str, now: datetime = NOW) -> str:
        successor = self.refresh(token, now)
        assert successor is not None
        return successor


def test_a_token_is_32_random_bytes_safe_in_urls_and_kept_as_its_sha256() -> None:
    token = new_secret()
    assert len(token) == 43
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert new_secret() != token
    assert hash_secret("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("text", ["", "\x00", "\ud800", "ä" * 100_000])
def test_any_text_has_a_hash(text: str) -> None:
    assert len(hash_secret(text)) == 32


def test_a_lost_answer_may_be_asked_for_again() -> None:
    session = Session()
    session.must_refresh(session.first)
    again = session.must_refresh(session.first)
    assert session.refresh(again) is not None


def test_of_two_refreshes_at_once_either_answer_works() -> None:
    for kept in (0, 1):
        session = Session()
        answers = [session.must_refresh(session.first), session.must_refresh(session.first)]
        assert session.refresh(answers[kept]) is not None
        assert session.ended_at is None


def test_a_token_used_after_its_successor_ends_the_session() -> None:
    session = Session()
    second = session.must_refresh(session.first)
    third = session.must_refresh(second)
    assert session.refresh(session.first) is None
    assert session.ended_at == NOW
    assert [session.refresh(token) for token in (second, third)] == [None, None]


def test_two_parties_going_on_from_one_token_are_noticed() -> None:
    session = Session()
    thief, phone = session.must_refresh(session.first), session.must_refresh(session.first)
    stolen = session.must_refresh(thief)
    assert session.refresh(phone) is None
    assert session.refresh(stolen) is None
    assert session.ended_at == NOW


def test_every_refresh_gives_another_90_days() -> None:
    session = Session()
    second = session.must_refresh(session.first, NOW + timedelta(days=90, microseconds=-1))
    assert session.refresh(second, NOW + timedelta(days=180, microseconds=-1)) is None
    assert session.ended_at is None


def test_an_answer_lost_on_the_last_day_may_still_be_asked_for_again() -> None:
    session = Session()
    session.must_refresh(session.first, NOW + timedelta(days=89))
    assert session.refresh(session.first, NOW + timedelta(days=178)) is not None


@given(lost=st.lists(st.booleans(), max_size=30))
def test_no_pattern_of_lost_answers_locks_a_phone_out(lost: list[bool]) -> None:
    session = Session()
    token = session.first
    for answer_is_lost in lost:
        answer = session.must_refresh(token)
        token = token if answer_is_lost else answer
    assert session.ended_at is None


@given(turns=st.lists(st.sampled_from(["phone", "thief"]), max_size=30))
def test_a_stolen_token_serves_until_both_have_gone_on_and_no_longer(turns: list[str]) -> None:
    session = Session()
    held = {"phone": session.first, "thief": session.first}
    went_on: list[str] = []
    for party in turns:
        fresh = held[party] != session.first
        answer = session.refresh(held[party])
        if answer is None:
            assert session.ended_at == NOW
            assert len({*went_on, party}) == 2
            return
        if fresh or party not in went_on:
            went_on.append(party)
        held[party] = answer
    moved = {party for party in held if turns.count(party) > 1}
    assert len(moved) < 2
