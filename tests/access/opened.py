"""The application on a database of one's own, asked without a network between."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from backend.app import create_app
from backend.commands import connect
from backend.db import municipalities
from backend.demo.load import SLUG
from backend.settings import Settings
from tests.conftest import Api


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
