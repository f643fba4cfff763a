from pathlib import Path

import pytest

from backend.settings import Settings
from tests.conftest import Api
from tests.login.idp import Idp, Person, idp, idp_process, login_keys, providers_file

__all__ = ["idp", "idp_process", "login_keys", "providers_file"]


@pytest.fixture
def settings(settings: Settings, providers_file: Path) -> Settings:
    return settings.model_copy(update={"login_providers_file": providers_file})


@pytest.fixture
def person(api: Api, idp: Idp) -> Person:
    return Person(api, idp)
