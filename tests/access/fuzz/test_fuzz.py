"""A short run of `make fuzz`: whatever can be asked is answered or refused, and every field answers."""

import os

import pytest

from tests.access.fuzz import SECONDS, SEED
from tests.access.fuzz.run import fuzz
from tests.access.towns import Towns

pytestmark = pytest.mark.anyio


async def test_whatever_can_be_asked_is_answered_or_refused_and_every_field_answers(
    towns: Towns, capsys: pytest.CaptureFixture[str]
) -> None:
    # The walk alone takes about as long.
    report = await fuzz(towns, seconds=float(os.environ.get(SECONDS, "12")), first_seed=int(os.environ.get(SEED, "0")))
    told = "\n".join(report.lines())
    with capsys.disabled():
        if SECONDS in os.environ:
            print(told)
    assert report.problems == [], told
    assert report.uncovered == [], told
