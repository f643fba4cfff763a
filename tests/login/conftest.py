import pytest

from tests.conftest import Api
from tests.login.idp import Idp, Person


@pytest.fixture
def person(api: Api, idp: Idp) -> Person:
    return Person(api, idp)
