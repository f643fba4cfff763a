"""What a resolver is given: who asks, where, and the means to answer."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import strawberry

from backend.cursors import Place
from backend.db.municipalities import Catalogue, Names, OfficialRow
from backend.db.pool import Pool
from backend.reads import Reads
from backend.realtime.allowances import Kind
from backend.viewer import Viewer

if TYPE_CHECKING:
    from backend.services import Services

T = TypeVar("T")


@dataclass
class Context:
    """One operation's, or one event's of a subscription (`live`). `strength` is the token's word on the caller's
    identity; what counts is in the database. `became`: the caller is somebody else than was admitted."""

    services: "Services"
    catalogue: Catalogue
    viewer: Viewer
    locale: str
    request_id: str
    network: str
    live: bool = False
    became: bool = False
    running: dict[object, asyncio.Future[Any]] = field(default_factory=dict)  # Any: of reads of every kind

    @property
    def read(self) -> Reads:
        return Reads(self)

    @property
    def pool(self) -> Pool:
        return self.services.pool

    @property
    def municipality_id(self) -> UUID:
        return self.catalogue.id

    @property
    def scope(self) -> dict[str, Any]:  # Any: a mix of types, spread into keyword arguments
        """What every read of ideas is given: the municipality and who looks."""
        return {"municipality_id": self.catalogue.id, "viewer": self.viewer}

    @property
    def own(self) -> dict[str, UUID]:
        """What every read of the caller's own is given."""
        return {"municipality_id": self.catalogue.id, "resident_id": self.viewer.id}

    def become(self, viewer: Viewer) -> None:
        """The caller from here on: who has just signed in. What else the document asks for is asked by them."""
        self.viewer, self.became = viewer, True

    async def limit(self, kind: Kind, *subjects: UUID | str | None) -> None:
        """Counts an act of this kind against `subjects` (the caller's account where left out) and once against the
        network it comes from. Call it before anything is looked up or done, and only for what isn't a repeat by its
        key. Raises RateLimited."""
        if not self.catalogue.rate_limits_lifted:
            await self.services.allowances.take(
                kind,
                municipality_id=self.catalogue.id,
                subjects=subjects or (self.viewer.resident_id,),
                network=self.network,
            )

    async def official(self, id: UUID) -> OfficialRow | None:
        """Somebody who holds or held a post, also one who came to it within the last second."""
        if id not in self.catalogue.officials:
            self.catalogue = await self.services.catalogues.get(self.catalogue.id, fresh=True)
        return self.catalogue.officials.get(id)

    async def kept(self, key: tuple[Hashable, ...], read: Callable[[], Awaitable[T]], *, since: int | None = None) -> T:
        """What `read` gives, or gave somebody else: it must be the same for everyone who may ask for `key`.

        At most a second old, but of now for whoever knows of something newer: who has voted within that second and
        looks for that vote, and the events of a subscription. These share what was read after the wake-up `since`.
        """
        services = self.services
        voted = self.viewer.resident_id and services.votes.voted_lately(self.viewer.resident_id)
        if since is None and (self.live or voted):
            return await read()
        return await services.kept.get(
            (self.catalogue.id, self.catalogue.version, self.locale, since, *key), read, self.catalogue.day_ends
        )

    def today(self) -> date:
        """The municipality's local day."""
        return datetime.now(UTC).astimezone(ZoneInfo(self.catalogue.time_zone)).date()

    def name(self, names: Names) -> str:
        """A translated text in the caller's language, else in the municipality's first one that has it."""
        for locale in (self.locale, *self.catalogue.locales):
            if locale in names:
                return names[locale]
        return next(iter(names.values()), "")

    def cursor(self, binding: str, place: Place) -> str:
        return self.services.cursors.encode(f"{self.catalogue.id}:{binding}", place)

    def place(self, binding: str, cursor: str, *, argument: str) -> Place:
        """Raises BadUserInput for a cursor of another list, order, filter or municipality."""
        return self.services.cursors.decode(f"{self.catalogue.id}:{binding}", cursor, argument=argument)


Info: TypeAlias = strawberry.Info[Context, None]
