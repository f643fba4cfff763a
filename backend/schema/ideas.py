"""Ideas as clients see them."""

from datetime import UTC, datetime
from types import EllipsisType
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry
from graphql.pyutils import AwaitableOrValue

from backend.context import Info
from backend.db.ideas import IdeaRow, PlacedIdea
from backend.db.pages import Page
from backend.db.votes import VoteRow
from backend.rules.groups import MEMBERS
from backend.rules.ideas import ACCEPTS_VOTES
from backend.schema.enums import IdeaStatus, IdentityStrength
from backend.schema.fields import field
from backend.schema.groups import Group, group
from backend.schema.municipalities import Department, District, Official, Theme, department, district, official, theme
from backend.schema.nodes import Author, Followable, Node, node_id
from backend.schema.pages import EDGES, NODE, NODES, After, Connection, Edge, First
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
    reaction_due_at: datetime = strawberry.field(description="Until when the first reaction is promised.")
    answer_due_at: datetime = strawberry.field(description="Until when the answer is promised.")
    first_response_at: datetime | None = strawberry.field(description="When the municipality first responded.")
    answered_at: datetime | None = strawberry.field(description="When it first decided.")
    is_overdue: bool = strawberry.field(description="Whether a reaction or the answer is late now.")


@strawberry.type(description="Something a resident or a group wants done.")
class Idea(Node, Followable):
    row: strawberry.Private[IdeaRow]
    standing: strawberry.Private[VoteRow | EllipsisType | None]
    number: int = strawberry.field(description="Short, for paper, codes and phone calls; unique in the municipality.")
    title: str = strawberry.field(description="The idea in a sentence.")
    body: str = strawberry.field(description="More about it, in plain text; may be empty.")
    locale: Locale = strawberry.field(description="The language it is written in.")
    status: IdeaStatus = strawberry.field(description="How far it has come.")
    created_at: datetime = strawberry.field(description="When it was thrown.")
    edited_at: datetime | None = strawberry.field(description="When its text or place was last edited.")
    updated_at: datetime = strawberry.field(description="When anything but its votes last changed.")
    version: int = strawberry.field(description="Grows with every change but votes; for `expectedVersion`.")
    accepts_votes: bool = strawberry.field(description="Whether votes can be cast and withdrawn now.")
    vote_count: int = strawberry.field(
        description="Votes that count: those of the municipality's `voteStrength` and up."
    )
    hidden_reason: str | None = strawberry.field(
        description="Why a moderator hid it. Hidden ideas are seen by moderators and their author alone."
    )

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
        return ResponseClock(
            reaction_due_at=self.row.reaction_due_at,
            answer_due_at=self.row.answer_due_at,
            first_response_at=self.row.first_response_at,
            answered_at=self.row.answered_at,
            is_overdue=self.row.due_at < datetime.now(UTC),
        )

    # Not a coroutine where there is nothing to wait for: most ideas are a resident's, whose name is in the row.
    @field("The resident, or the group in whose name it was thrown; null after erasure.", type=Author | None)
    def author(self, info: Info) -> AwaitableOrValue[Author | None]:
        if self.row.author_group_id:
            return _group_author(info, self.row.author_group_id)
        if self.row.author_id and self.row.author_name is not None:
            return resident(self.row.author_id, self.row.author_name)
        return None

    @field("The resident who threw it in a group's name; for members of that group, null for everybody else.")
    async def submitted_by(self, info: Info) -> Resident | None:
        row = self.row
        if not (row.author_group_id and row.author_id and row.author_name):
            return None
        role = await info.context.load.viewer_group_role.load(row.author_group_id)
        return resident(row.author_id, row.author_name) if role in MEMBERS else None

    @field("The groups that own it together. At most 10.")
    async def groups(self, info: Info) -> list[Group]:
        return [group(row) for row in await info.context.load.groups_of_idea.load(self.row.id) or ()]

    @field("What it is about.")
    def theme(self, info: Info) -> Theme:
        return theme(info, info.context.catalogue.themes[self.row.theme_id])

    @field("Where it would be; null where it concerns the whole municipality.")
    def district(self, info: Info) -> District | None:
        return district(info, info.context.catalogue.districts[self.row.district_id]) if self.row.district_id else None

    @field("The caller's own vote; null where none stands. Nobody else's vote can be read anywhere.")
    async def viewer_vote(self, info: Info) -> Vote | None:
        if info.context.viewer.resident_id is None:
            return None
        row = self.standing
        if row is ...:
            row = await info.context.load.viewer_vote.load(self.row.id)
        return vote(info, row) if row else None

    @field("Whether the caller follows it; false for callers without an account.")
    async def viewer_follows(self, info: Info) -> bool:
        if info.context.viewer.resident_id is None:
            return False
        return bool(await info.context.load.viewer_follows.load(self.row.id))

    @field("The idea it went into.")
    async def merged_into(self, info: Info) -> Annotated["Idea", strawberry.lazy("backend.schema.ideas")] | None:
        row = await info.context.load.idea.load(self.row.merged_into_id) if self.row.merged_into_id else None
        return idea(row) if row else None

    @field("The department that owns the case. Never none.")
    def department(self, info: Info) -> Department:
        return department(info, info.context.catalogue.departments[self.row.department_id])

    @field("Who holds that post now.")
    def responsible(self, info: Info) -> Official:
        return official(info, info.context.catalogue.holder(self.row.post_id))

    @field(
        "What the municipality has said and done, oldest first. Entries are never changed or removed; a correction is "
        "a new entry."
    )
    async def responses(
        self, info: Info, first: First = None, after: After = None
    ) -> Annotated["ResponseConnection", strawberry.lazy("backend.schema.responses")] | None:
        from backend.schema.responses import idea_responses

        return await idea_responses(info, self.row.id, first=first, after=after)

    @field("The newest of `responses`.")
    async def latest_response(
        self, info: Info
    ) -> Annotated["Response", strawberry.lazy("backend.schema.responses")] | None:
        from backend.schema.responses import response

        row = await info.context.load.latest_response.load(self.row.id)
        return response(row) if row else None


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


async def _group_author(info: Info, group_id: UUID) -> Author | None:
    row = await info.context.load.group.load(group_id)
    return group(row) if row else None


def idea_connection(page: Page[PlacedIdea], binding: str) -> IdeaConnection:
    edges = [IdeaEdge(place=row.place, binding=binding, node=idea(row.idea)) for row in page.rows]
    return IdeaConnection(edges=edges, ends=edges, has_previous=page.has_previous, has_next=page.has_next)


def idea(row: IdeaRow, *, standing: VoteRow | EllipsisType | None = ...) -> Idea:
    """The idea a row tells of. The row must have been read for this viewer, whose vote for it is `standing` where that
    is known already."""
    return Idea(
        id=node_id("Idea", row.id),
        row=row,
        standing=standing,
        number=row.number,
        title=row.title,
        body=row.body,
        locale=Locale(row.locale),
        status=IdeaStatus(row.status),
        created_at=row.created_at,
        edited_at=row.edited_at,
        updated_at=row.updated_at,
        version=row.version,
        accepts_votes=row.status in ACCEPTS_VOTES and row.hidden_reason is None,
        vote_count=row.vote_count,
        hidden_reason=row.hidden_reason,
    )
