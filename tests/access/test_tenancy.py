import pytest

from tests.access.towns import Towns

pytestmark = pytest.mark.anyio


async def test_every_text_has_a_canary(towns: Towns) -> None:
    assert towns.silent == frozenset()
