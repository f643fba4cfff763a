"""What a resolver is given: who asks, where, and the means to answer."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import strawberry
from strawberry.dataloader import DataLoader

from backend.cursors import Place
from backend.db import follows, groups, ideas, notifications, responses, votes
from backend.db.boards import Board
from backend.db.groups import GroupRow, MemberRow
from backend.db.ideas import IdeaFilter, IdeaRow, PlacedIdea
from backend.db.municipalities import Catalogue, Names, OfficialRow
from backend.db.notifications import NotificationRow
from backend.db.pages import Page, PageRequest
from backend.db.pool import Connection, Pool, acquire
from backend.db.responses import ResponseRow
from backend.db.votes import VoteRow
from backend.viewer import Viewer

if TYPE_CHECKING:
    from backend.services import Services

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass
class Context:
    """One operation's. `strength` is the token's word on the caller's identity; what counts is in the database."""

    services: "Services"
    catalogue: Catalogue
    viewer: Viewer
    locale: str
    request_id: str
    load: "Loaders" = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Forgets what was read: after a write, and between the events of a subscription."""
        self.load = Loaders(self)

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

    def become(self, resident_id: UUID, roles: Iterable[str]) -> None:
        """The caller from here on: who has just signed in."""
        self.viewer = Viewer(resident_id, frozenset(roles))
        self.refresh()

    async def official(self, id: UUID) -> OfficialRow | None:
        """Somebody who holds or held a post, also one who came to it within the last second."""
        if id not in self.catalogue.officials:
            self.catalogue = await self.services.catalogues.get(self.catalogue.id, fresh=True)
        return self.catalogue.officials.get(id)

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


class Loaders:
    """One batched read for all objects of a level; each answers None for what isn't there for the viewer."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def by_key(
        self, fetch: Callable[[Connection, list[Key]], Awaitable[Mapping[Key, Value]]]
    ) -> "DataLoader[Key, Value | None]":
        """A loader from a read that answers many keys in one statement."""

        async def load(keys: list[Key]) -> Sequence[Value | None]:
            async with acquire(self._context.pool) as conn:
                found = await fetch(conn, keys)
            return [found.get(key) for key in keys]

        return DataLoader(load)

    def pages(
        self, fetch: Callable[[Connection, list[UUID], PageRequest], Awaitable[Sequence[Page[Value]]]]
    ) -> "DataLoader[tuple[UUID, PageRequest], Page[Value]]":
        """A loader of pages below many parents: one statement for all parents that ask for the same page."""

        async def load(keys: list[tuple[UUID, PageRequest]]) -> Sequence[Page[Value]]:
            found: dict[tuple[UUID, PageRequest], Page[Value]] = {}
            async with acquire(self._context.pool) as conn:
                for request in dict.fromkeys(request for _, request in keys):
                    parents = [parent for parent, asked in keys if asked == request]
                    pages = await fetch(conn, parents, request)
                    found.update({(parent, request): page for parent, page in zip(parents, pages, strict=True)})
            return [found[key] for key in keys]

        return DataLoader(load)

    @cached_property
    def idea(self) -> "DataLoader[UUID, IdeaRow | None]":
        async def fetch(conn: Connection, ids: list[UUID]) -> dict[UUID, IdeaRow]:
            return {row.id: row for row in await ideas.ideas_by_id(conn, **self._context.scope, ids=ids)}

        return self.by_key(fetch)

    @cached_property
    def viewer_vote(self) -> "DataLoader[UUID, VoteRow | None]":
        async def fetch(conn: Connection, ids: list[UUID]) -> dict[UUID, VoteRow]:
            return await votes.viewer_votes(
                conn,
                municipality_id=self._context.municipality_id,
                resident_id=self._context.viewer.id,
                idea_ids=ids,
            )

        return self.by_key(fetch)

    @cached_property
    def group(self) -> "DataLoader[UUID, GroupRow | None]":
        async def fetch(conn: Connection, ids: list[UUID]) -> dict[UUID, GroupRow]:
            return await groups.groups_by_id(conn, municipality_id=self._context.municipality_id, ids=ids)

        return self.by_key(fetch)

    @cached_property
    def groups_of_idea(self) -> "DataLoader[UUID, list[GroupRow] | None]":
        async def fetch(conn: Connection, ids: list[UUID]) -> dict[UUID, list[GroupRow]]:
            return await groups.groups_of_ideas(conn, municipality_id=self._context.municipality_id, idea_ids=ids)

        return self.by_key(fetch)

    @cached_property
    def viewer_group_role(self) -> "DataLoader[UUID, str | None]":
        async def fetch(conn: Connection, ids: list[UUID]) -> dict[UUID, str]:
            return await groups.viewer_group_roles(
                conn,
                municipality_id=self._context.municipality_id,
                resident_id=self._context.viewer.id,
                group_ids=ids,
            )

        return self.by_key(fetch)

    @cached_property
    def group_members(self) -> "DataLoader[tuple[UUID, PageRequest], Page[MemberRow]]":
        async def fetch(conn: Connection, ids: list[UUID], request: PageRequest) -> list[Page[MemberRow]]:
            return await groups.member_pages(conn, **self._context.scope, group_ids=ids, request=request)

        return self.pages(fetch)

    @cached_property
    def group_ideas(self) -> "Callable[[str], DataLoader[tuple[UUID, PageRequest], Page[PlacedIdea]]]":
        """By the order of the list."""

        @cache
        def in_order(order: str) -> "DataLoader[tuple[UUID, PageRequest], Page[PlacedIdea]]":
            async def fetch(conn: Connection, ids: list[UUID], request: PageRequest) -> list[Page[PlacedIdea]]:
                return await ideas.idea_pages(
                    conn,
                    **self._context.scope,
                    today=self._context.today(),
                    order=order,
                    filter=IdeaFilter(),
                    request=request,
                    group_ids=ids,
                )

            return self.pages(fetch)

        return in_order

    @cached_property
    def previous_rank(self) -> "Callable[[Board], DataLoader[UUID, int | None]]":
        """By board: ranks at the last local midnight."""

        @cache
        def on(board: Board) -> "DataLoader[UUID, int | None]":
            async def load(ids: list[UUID]) -> list[int | None]:
                read = self._context.services.leaderboards
                ranks = await read.midnight_ranks(board, today=self._context.today(), idea_ids=ids)
                return [ranks.get(id) for id in ids]

            return DataLoader(load)

        return on

    @cached_property
    def viewer_follows(self) -> "DataLoader[UUID, bool | None]":
        async def fetch(conn: Connection, ids: list[UUID]) -> dict[UUID, bool]:
            return await follows.viewer_follows(
                conn,
                municipality_id=self._context.municipality_id,
                resident_id=self._context.viewer.id,
                idea_ids=ids,
            )

        return self.by_key(fetch)

    @cached_property
    def response(self) -> "DataLoader[UUID, ResponseRow | None]":
        async def fetch(conn: Connection, ids: list[UUID]) -> dict[UUID, ResponseRow]:
            return await responses.responses_by_id(conn, **self._context.scope, ids=ids)

        return self.by_key(fetch)

    @cached_property
    def latest_response(self) -> "DataLoader[UUID, ResponseRow | None]":
        async def fetch(conn: Connection, ids: list[UUID]) -> dict[UUID, ResponseRow]:
            return await responses.latest_responses(conn, municipality_id=self._context.municipality_id, idea_ids=ids)

        return self.by_key(fetch)

    @cached_property
    def idea_responses(self) -> "DataLoader[tuple[UUID, PageRequest], Page[ResponseRow]]":
        async def fetch(conn: Connection, ids: list[UUID], request: PageRequest) -> list[Page[ResponseRow]]:
            return await responses.response_pages(
                conn, municipality_id=self._context.municipality_id, idea_ids=ids, request=request
            )

        return self.pages(fetch)

    @cached_property
    def notification(self) -> "DataLoader[UUID, NotificationRow | None]":
        async def fetch(conn: Connection, ids: list[UUID]) -> dict[UUID, NotificationRow]:
            return await notifications.notifications_by_id(
                conn,
                municipality_id=self._context.municipality_id,
                resident_id=self._context.viewer.id,
                ids=ids,
            )

        return self.by_key(fetch)
