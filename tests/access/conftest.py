"""The two towns are built once for each process; every test has a clone of their database, and Redis empty."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from backend.embedded.servers import Servers
from tests.access.opened import opened, town_settings
from tests.access.towns import Towns, build_towns
from tests.conftest import Api, database, execute_sql

TEMPLATE = "template_towns"


@pytest.fixture(scope="session")
async def built(servers: Servers, template: str) -> Towns:
    await execute_sql(servers, f"CREATE DATABASE {TEMPLATE} TEMPLATE {template}")
    async with opened(town_settings(servers, database(servers, TEMPLATE))) as api:
        return await build_towns(api)


@pytest.fixture
async def database_url(servers: Servers, built: Towns) -> AsyncIterator[str]:
    """A clone of the towns' database."""
    del built  # it is there
    name = f"towns_{uuid4().hex}"
    await execute_sql(servers, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield database(servers, name)
    await execute_sql(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def towns(built: Towns, api: Api) -> Towns:
    return built.asked_through(api)
