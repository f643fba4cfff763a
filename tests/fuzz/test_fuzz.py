"""A short run of `make fuzz`: whatever can be asked is answered or refused, and every field answers."""

import pytest

from tests.access.towns import Towns
from tests.fuzz.run import fuzz

pytestmark = pytest.mark.anyio

SECONDS = 12  # for the walk alone it takes about as long


async def test_whatever_can_be_asked_is_answered_or_refused_and_every_field_answers(towns: Towns) -> None:
    report = await fuzz(towns, seconds=SECONDS)
    assert report.problems == [], "\n".join(report.lines())
    assert report.uncovered == [], "\n".join(report.lines())
