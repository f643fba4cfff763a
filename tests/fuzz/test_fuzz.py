"""A short run of `make fuzz`: whatever can be asked is answered or refused, and every field answers."""

import pytest

from tests.access.towns import Towns
from tests.fuzz.run import fuzz

pytestmark = pytest.mark.anyio

SECONDS = 12


async def test_whatever_is_made_up_is_answered_or_refused_with_a_code(towns: Towns) -> None:
    report = await fuzz(towns, seconds=SECONDS)
    assert report.problems == [], "\n".join(report.lines())
    assert report.uncovered == [], "\n".join(report.lines())
    print("\n".join(report.lines()))
    assert 0
