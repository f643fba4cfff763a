"""The two towns are built once for each process; every test has a clone of their database, and Redis empty."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from backend.demo.load import SLUG
from backend.embedded.folder import secret_key, signing_key_file
from backend.embedded.servers import Servers
from backend.settings import Settings, load_settings
from tests.access.opened import opened
from tests.access.towns import Towns, build_towns
from tests.conftest import OTHER, Api, database, execute_sql
from tests.login.idp import Idp

TEMPLATE = "template_towns"


def town_settings(servers: Servers, url: str) -> Settings:
    """As tests have them, but for logins with others."""
    return load_settings(
        database_url=url,
        redis_url=servers.redis_url,
        secret_key=secret_key(servers.folder.path),
        signing_key_file=signing_key_file(servers.folder.path),
        default_municipality=SLUG,
        passkey_origins={f"https://{slug}.example": slug for slug in (SLUG, OTHER)},
        rate_limits="off",
        log_level="error",
        mail_folder=servers.folder.path / "mail",
        mail_link="https://app.ilola.example/open",
    )


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
def towns(built: Towns, api: Api, idp: Idp) -> Towns:
    return built.asked_through(api, idp)
