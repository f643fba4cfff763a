"""Scalars of the contract."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

Locale = NewType("Locale", str)

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
# The shapes of RFC 5646 that people use: language, script, region, variants and private use.
_BCP47 = re.compile(
    r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|\d{3}))?(-([A-Za-z0-9]{5,8}|\d[A-Za-z0-9]{3}))*(-x(-[A-Za-z0-9]{1,8})+)?"
)


@lru_cache(maxsize=8192)
def format_time(value: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return f"{utc.isoformat(timespec='milliseconds')[:-6]}Z"


def parse_time(value: object) -> datetime:
    """Any RFC 3339 time, its offset required. Finer than a microsecond is cut."""
    if isinstance(value, str) and (match := _RFC3339.fullmatch(value)):
        text = value.upper()
        if match[1]:
            text = text.replace(match[1], match[1][:7].ljust(7, "0"), 1)
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise GraphQLError("DateTime must be an RFC 3339 time with its offset, e.g. 2026-11-22T09:30:00.000Z")


def parse_locale(value: object) -> Locale:
    if isinstance(value, str) and len(value) <= 35 and _BCP47.fullmatch(value):
        return Locale(value)
    raise GraphQLError("Locale must be a BCP 47 language tag, e.g. fi, sv, en or en-x-plain")


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment: RFC 3339, always UTC (Z), with milliseconds, e.g. 2026-11-22T09:30:00.000Z. "
        "Any offset is taken in.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=format_time,
        parse_value=parse_time,
    ),
    Locale: strawberry.scalar(
        name="Locale",
        description="A language, as a BCP 47 tag: fi, sv, en, or en-x-plain for plain English.",
        serialize=str,
        parse_value=parse_locale,
    ),
}
