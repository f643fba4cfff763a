"""The application on a database of one's own, asked without a network between."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from backend.app import create_app
from backend.commands import connect
from backend.db import municipalities
from backend.demo.load import SLUG
from backend.embedded.folder import secret_key, signing_key_file
from backend.embedded.servers import Servers
from backend.settings import Settings, load_settings
from tests.conftest import Api


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


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Api]:
    app, conn = create_app(settings), await connect(settings.database_url)
    try:
        catalogue = await municipalities.catalogue(conn, (await municipalities.slugs(conn))[SLUG])
        assert catalogue
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://heitto.test") as client:
                yield Api(app, settings, client, conn, catalogue)
    finally:
        await conn.close()
