"""Municipalities kept in the process: every request needs one, and they seldom change."""

import asyncio
import time
from uuid import UUID

from backend.db import municipalities
from backend.db.municipalities import Catalogue
from backend.db.pool import Pool, acquire
from backend.errors import Unavailable

FRESH_SECONDS = 1.0


class Catalogues:
    """Re-read when older than a second and asked for; one reader at a time. While PostgreSQL is away the last
    one known is served."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._slugs: dict[str, UUID] = {}
        self._kept: dict[UUID, tuple[float, Catalogue]] = {}
        self._listing: asyncio.Task[dict[str, UUID]] | None = None
        self._reading: dict[UUID, asyncio.Task[Catalogue]] = {}

    async def id_of(self, slug: str) -> UUID | None:
        """None for an unknown slug. Slugs are never given to another municipality."""
        if slug not in self._slugs:
            await self.ids()
        return self._slugs.get(slug)

    async def ids(self) -> dict[str, UUID]:
        """All municipalities by slug, read now; together with whoever asks at the same time."""
        if self._listing is None:
            self._listing = asyncio.create_task(self._list())
            self._listing.add_done_callback(lambda _: setattr(self, "_listing", None))
        return await asyncio.shield(self._listing)

    async def _list(self) -> dict[str, UUID]:
        async with acquire(self._pool) as conn:
            self._slugs = await municipalities.slugs(conn)
        return self._slugs

    async def get(self, municipality_id: UUID, *, fresh: bool = False) -> Catalogue:
        """The municipality, at most a second old; read anew where `fresh`. Raises Unavailable, KeyError."""
        read_at, known = self._kept.get(municipality_id, (0.0, None))
        if known and not fresh and time.monotonic() - read_at < FRESH_SECONDS:
            return known
        task = self._reading.get(municipality_id)
        if task is None:
            task = self._reading[municipality_id] = asyncio.create_task(self._read(municipality_id))
            task.add_done_callback(lambda _: self._reading.pop(municipality_id, None))
        try:
            return await asyncio.shield(task)
        except Unavailable:
            if known is None or fresh:
                raise
            return known

    def stands(self, catalogue: Catalogue) -> bool:
        """Whether `get` would give this one without reading."""
        read_at, known = self._kept.get(catalogue.id, (0.0, None))
        return known is catalogue and time.monotonic() - read_at < FRESH_SECONDS

    async def _read(self, municipality_id: UUID) -> Catalogue:
        asked_at = time.monotonic()
        async with acquire(self._pool) as conn:
            catalogue = await municipalities.catalogue(conn, municipality_id)
        if catalogue is None:
            raise KeyError(municipality_id)
        _, known = self._kept.get(municipality_id, (0.0, None))
        if known == catalogue:
            catalogue = known  # with what was worked out of it
        self._kept[municipality_id] = asked_at, catalogue
        return catalogue
