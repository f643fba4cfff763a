"""Promise E11: a body whose texts are not looked at one by one has none that would be refused."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.errors import BadUserInput
from backend.transport import payload
from backend.transport.payload import MAX_JSON_DEPTH, check_values, read_body_payload

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("\0\ufdd0\ufffe\U0001ffff€ä\\u\U0001f642"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int) -> dict[str, Any]:  # Any: JSON
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.booleans())
@example({"a": "\0"}, True)
@example({"\ufffe": 1}, False)
@example({"a": "\U0010ffff"}, False)
@example(nested(MAX_JSON_DEPTH), True)
@example(nested(MAX_JSON_DEPTH + 1), True)
def test_a_body_is_refused_exactly_where_its_values_are(variables: dict[str, Any], escaped: bool) -> None:
    body = json.dumps({"query": "{a}", "variables": variables}, ensure_ascii=escaped).encode()
    try:
        check_values(variables, "variables")
    except BadUserInput as refusal:
        with pytest.raises(BadUserInput) as refused:
            read_body_payload(body)
        assert refused.value.message == refusal.message
    else:
        assert read_body_payload(body).variables == variables


def test_usual_bodies_are_not_looked_at_text_by_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(payload, "check_values", fail)
    body = json.dumps({"query": "{a}", "variables": {"title": "Pöytä rantaan, 5 €"}}, ensure_ascii=False).encode()
    assert read_body_payload(body).variables == {"title": "Pöytä rantaan, 5 €"}


def test_values_are_counted_while_they_are_looked_at_and_not_when_all_were() -> None:
    variables = {str(n): [1] * 99 for n in range(600)}
    with pytest.raises(BadUserInput, match=r"`variables.9.98` is beyond the 1,000 values"):
        check_values(variables, "variables")
