"""The two towns are built once for each process; every test has a clone of their database, and Redis empty."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx2
import pytest

from backend.app import create_app
from backend.commands import connect
from backend.db import municipalities
from backend.demo.load import SLUG
from backend.embedded.folder import secret_key, signing_key_file
from backend.embedded.servers import Servers
from backend.settings import Settings, load_settings
from tests.access.towns import Towns, build_towns
from tests.conftest import Api, database, execute_sql

TEMPLATE = "template_towns"


def town_settings(servers: Servers, database_url: str) -> Settings:
    return load_settings(
        database_url=database_url,
        redis_url=servers.redis_url,
        secret_key=secret_key(servers.folder.path),
        signing_key_file=signing_key_file(servers.folder.path),
        default_municipality=SLUG,
        rate_limits="off",
        log_level="error",
    )


@pytest.fixture(scope="session")
async def built(servers: Servers, template: str) -> Towns:
    await execute_sql(servers, f"CREATE DATABASE {TEMPLATE} TEMPLATE {template}")
    url = database(servers, TEMPLATE)
    settings = town_settings(servers, url)
    app = create_app(settings)
    conn = await connect(url)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://heitto.test") as client:
            catalogue = await municipalities.catalogue(conn, (await municipalities.slugs(conn))[SLUG])
            assert catalogue
            towns = await build_towns(Api(app, settings, client, conn, catalogue))
    await conn.close()
    return towns


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
