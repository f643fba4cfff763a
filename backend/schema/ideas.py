"""Ideas as clients see them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import EllipsisType
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry

from backend.context import Info
from backend.db.groups import GroupRow
from backend.db.ideas import IdeaRow, PlacedIdea
from backend.db.pages import Page
from backend.db.votes import VoteRow
from backend.fields import batched, field, from_row
from backend.rules.groups import MEMBERS
from backend.rules.ideas import ACCEPTS_VOTES
from backend.schema.enums import IdeaStatus, IdentityStrength
from backend.schema.groups import Group, group
from backend.schema.municipalities import Department, District, Official, Theme, department, district, official, theme
from backend.schema.nodes import ID, Author, Followable, Node, node_id
from backend.schema.pages import EDGES, NODE, NODES, After, Connection, Edge, First, pages_below
from backend.schema.residents import Resident, resident
from backend.schema.scalars import Locale

if TYPE_CHECKING:
    from backend.schema.responses import Response, ResponseConnection

STRENGTHS = tuple(IdentityStrength)


@strawberry.type(description="A place on the map (WGS 84).")
class Location:
    latitude: float = strawberry.field(description="Degrees, north positive.")
    longitude: float = strawberry.field(description="Degrees, east positive.")


@strawberry.type(description="The caller's own vote. Nobody else's can be read.")
class Vote:
    cast_at: datetime = strawberry.field(
        description="When it was first cast; stays when cast again after a withdrawal."
    )
    strength: IdentityStrength = strawberry.field(description="How the caller was identified when casting it.")
    counts: bool = strawberry.field(description="Whether it is in `voteCount`: strong enough for this municipality.")


@strawberry.type(description="How many votes of one identity strength.")
class StrengthCount:
    strength: IdentityStrength = strawberry.field(description="The voters' strength.")
    count: int = strawberry.field(description="Votes that stand.")


@strawberry.type(description="The promise. Whether it is late is judged when asked.")
class ResponseClock:
    row: strawberry.Private[IdeaRow]
    reaction_due_at: datetime = from_row("Until when the first reaction is promised.")
    answer_due_at: datetime = from_row("Until when the answer is promised.")
    first_response_at: datetime | None = from_row("When the municipality first responded.")
    answered_at: datetime | None = from_row("When it first decided.")

    @field("Whether a reaction or the answer is late now.")
    def is_overdue(self) -> bool:
        return self.row.due_at < datetime.now(UTC)


@strawberry.type(description="Something a resident or a group wants done.")
class Idea(Node, Followable):
    row: strawberry.Private[IdeaRow]
    standing: strawberry.Private[VoteRow | EllipsisType | None]
    id: strawberry.ID = from_row(ID, partial(node_id, "Idea"))
    number: int = from_row("Short, for paper, codes and phone calls; unique in the municipality.")
    title: str = from_row("The idea in a sentence.")
    body: str = from_row("More about it, in plain text; may be empty.")
    locale: Locale = from_row("The language it is written in.")
    status: IdeaStatus = from_row("How far it has come.", IdeaStatus)
    created_at: datetime = from_row("When it was thrown.")
    edited_at: datetime | None = from_row("When its text or place was last edited.")
    updated_at: datetime = from_row("When anything but its votes last changed.")
    version: int = from_row("Grows with every change but votes; for `expectedVersion`.")
    vote_count: int = from_row("Votes that count: those of the municipality's `voteStrength` and up.")
    hidden_reason: str | None = from_row(
        "Why a moderator hid it. Hidden ideas are seen by moderators and their author alone."
    )

    @field("Whether votes can be cast and withdrawn now.")
    def accepts_votes(self) -> bool:
        return self.row.status in ACCEPTS_VOTES and self.row.hidden_reason is None

    @field("Where it would be.")
    def location(self) -> Location | None:
        if self.row.latitude is None or self.row.longitude is None:
            return None
        return Location(latitude=self.row.latitude, longitude=self.row.longitude)

    @field("Always the three strengths, weakest first; totals, so no small-number rule applies.")
    def votes_by_strength(self) -> list[StrengthCount]:
        counts = (self.row.device_count, self.row.email_count, self.row.strong_count)
        return [StrengthCount(strength=strength, count=n) for strength, n in zip(STRENGTHS, counts, strict=True)]

    @field("When the municipality promised to answer, and did.")
    def clock(self) -> ResponseClock:
        return ResponseClock(row=self.row)

    @batched("The resident, or the group in whose name it was thrown; null after erasure.")
    @staticmethod
    async def author(ideas: Sequence["Idea"], info: Info) -> list[Author | None]:
        rows = [idea.row for idea in ideas]
        groups = await info.context.read.groups(row.author_group_id for row in rows)
        return [_author(row, groups) for row in rows]

    @batched("The resident who threw it in a group's name; for members of that group, null for everybody else.")
    @staticmethod
    async def submitted_by(ideas: Sequence["Idea"], info: Info) -> list[Resident | None]:
        rows = [idea.row for idea in ideas]
        roles = await info.context.read.viewer_group_roles(row.author_group_id for row in rows if row.author_name)
        return [
            resident(row.author_id, row.author_name)
            if row.author_group_id and roles.get(row.author_group_id) in MEMBERS and row.author_id and row.author_name
            else None
            for row in rows
        ]

    @batched("The groups that own it together. At most 10.")
    @staticmethod
    async def groups(ideas: Sequence["Idea"], info: Info) -> list[list[Group]]:
        owners = await info.context.read.groups_of_ideas(idea.row.id for idea in ideas)
        return [[group(row) for row in owners.get(idea.row.id, ())] for idea in ideas]

    @field("What it is about.")
    def theme(self, info: Info) -> Theme:
        return theme(info, info.context.catalogue.themes[self.row.theme_id])

    @field("Where it would be; null where it concerns the whole municipality.")
    def district(self, info: Info) -> District | None:
        return district(info, info.context.catalogue.districts[self.row.district_id]) if self.row.district_id else None

    @batched("The caller's own vote; null where none stands. Nobody else's vote can be read anywhere.")
    @staticmethod
    async def viewer_vote(ideas: Sequence["Idea"], info: Info) -> list[Vote | None]:
        unknown = any(idea.standing is ... for idea in ideas)
        read = await info.context.read.viewer_votes([idea.row.id for idea in ideas]) if unknown else {}
        standing = [read.get(idea.row.id) if idea.standing is ... else idea.standing for idea in ideas]
        return [vote(info, row) if row else None for row in standing]

    @batched("Whether the caller follows it; false for callers without an account.")
    @staticmethod
    async def viewer_follows(ideas: Sequence["Idea"], info: Info) -> list[bool]:
        followed = await info.context.read.viewer_follows(idea.row.id for idea in ideas)
        return [idea.row.id in followed for idea in ideas]

    @batched("The idea it went into.")
    @staticmethod
    async def merged_into(
        ideas: Sequence["Idea"], info: Info
    ) -> list[Annotated["Idea", strawberry.lazy("backend.schema.ideas")] | None]:
        rows = await info.context.read.ideas(idea.row.merged_into_id for idea in ideas)
        return [idea_of(rows, each.row.merged_into_id) for each in ideas]

    @field("The department that owns the case. Never none.")
    def department(self, info: Info) -> Department:
        return department(info, info.context.catalogue.departments[self.row.department_id])

    @field("Who holds that post now.")
    def responsible(self, info: Info) -> Official:
        return official(info, info.context.catalogue.holder(self.row.post_id))

    @batched(
        "What the municipality has said and done, oldest first. Entries are never changed or removed; a correction is "
        "a new entry."
    )
    @staticmethod
    async def responses(
        ideas: Sequence["Idea"], info: Info, first: First = None, after: After = None
    ) -> list[Annotated["ResponseConnection", strawberry.lazy("backend.schema.responses")] | None]:
        from backend.schema.responses import response_connection

        ids, read = [idea.row.id for idea in ideas], info.context.read.response_pages
        return await pages_below(info, ids, "idea.responses", read, response_connection, first=first, after=after)

    @batched("The newest of `responses`.")
    @staticmethod
    async def latest_response(
        ideas: Sequence["Idea"], info: Info
    ) -> list[Annotated["Response", strawberry.lazy("backend.schema.responses")] | None]:
        from backend.schema.responses import response

        rows = await info.context.read.latest_responses(idea.row.id for idea in ideas)
        return [response(rows[idea.row.id]) if idea.row.id in rows else None for idea in ideas]


@strawberry.type(description="An idea in a list.")
class IdeaEdge(Edge):
    node: Idea = strawberry.field(description=NODE)


@strawberry.type(description="A page of ideas.")
class IdeaConnection(Connection):
    edges: list[IdeaEdge] = strawberry.field(description=EDGES)

    @field(NODES)
    def nodes(self) -> list[Idea]:
        return [edge.node for edge in self.edges]


@strawberry.type(description="An idea that resembles a text.")
class SimilarIdea:
    similarity: float = strawberry.field(description="How alike the texts are: 0 to 1.")
    idea: Idea = strawberry.field(description="The one whose title resembles the text.")


def vote(info: Info, row: VoteRow) -> Vote:
    strength = IdentityStrength(row.strength)
    needed = IdentityStrength(info.context.catalogue.vote_strength)
    return Vote(cast_at=row.cast_at, strength=strength, counts=STRENGTHS.index(strength) >= STRENGTHS.index(needed))


def _author(row: IdeaRow, groups: Mapping[UUID, GroupRow]) -> Author | None:
    if row.author_group_id:
        return group(groups[row.author_group_id]) if row.author_group_id in groups else None
    if row.author_id and row.author_name is not None:
        return resident(row.author_id, row.author_name)
    return None


def idea_connection(page: Page[PlacedIdea], binding: str) -> IdeaConnection:
    edges = [IdeaEdge(place=row.place, binding=binding, node=idea(row.idea)) for row in page.rows]
    return IdeaConnection(edges=edges, ends=edges, has_previous=page.has_previous, has_next=page.has_next)


def idea(row: IdeaRow, *, standing: VoteRow | EllipsisType | None = ...) -> Idea:
    """The idea a row tells of. The row must have been read for this viewer, whose vote for it is `standing` where that
    is known already."""
    return Idea(row=row, standing=standing)


def idea_of(rows: Mapping[UUID, IdeaRow], id: UUID | None) -> Idea | None:
    """The idea with an id, where it is among rows that were read for the viewer."""
    return idea(rows[id]) if id and id in rows else None
