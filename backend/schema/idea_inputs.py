"""What changes ideas: inputs and payloads."""

from datetime import datetime

import strawberry

from backend.schema.enums import IdeaStatus
from backend.schema.errors import ERRORS, UserError
from backend.schema.ideas import Idea
from backend.schema.scalars import Locale

KEY = "A UUID made once for this submission: repeating it has the effect of one."


@strawberry.input(description="A place on the map (WGS 84).")
class LocationInput:
    latitude: float = strawberry.field(description="Degrees, -90 to 90, north positive.")
    longitude: float = strawberry.field(description="Degrees, -180 to 180, east positive.")


@strawberry.input(description="A new idea.")
class SubmitIdeaInput:
    title: str = strawberry.field(description="The idea in a sentence: 1 to 140 characters.")
    body: str = strawberry.field(default="", description="More about it, in plain text: up to 10,000 characters.")
    theme_id: strawberry.ID | None = strawberry.field(
        default=None, description="What it is about; the municipality's general theme where left out."
    )
    district_id: strawberry.ID | None = strawberry.field(default=None, description="Where it would be.")
    location: LocationInput | None = strawberry.field(default=None, description="Where exactly.")
    group_id: strawberry.ID | None = strawberry.field(
        default=None, description="The group in whose name it is thrown; the caller must be a member."
    )
    locale: Locale = strawberry.field(description="The language it is written in.")
    idempotency_key: str = strawberry.field(description=KEY)


@strawberry.input(
    description="Changes to an idea: absent keeps, null clears. Title and body are fixed once somebody else has voted."
)
class EditIdeaInput:
    idea_id: strawberry.ID = strawberry.field(description="The idea.")
    title: str | None = strawberry.field(default=strawberry.UNSET, description="1 to 140 characters; can't be cleared.")
    body: str | None = strawberry.field(default=strawberry.UNSET, description="Up to 10,000 characters.")
    theme_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Cleared, it is the general theme."
    )
    district_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Where it would be.")
    location: LocationInput | None = strawberry.field(default=strawberry.UNSET, description="Where exactly.")
    expected_version: int | None = strawberry.field(
        default=None, description="The `version` the caller saw; `CONFLICT` where it is another by now."
    )


@strawberry.input(description="An idea to take back.")
class WithdrawIdeaInput:
    idea_id: strawberry.ID = strawberry.field(description="The idea.")


@strawberry.input(description="An idea to hide from the public.")
class HideIdeaInput:
    idea_id: strawberry.ID = strawberry.field(description="The idea.")
    reason: str = strawberry.field(description="Which rule it breaks, and how; kept, and shown to the author.")


@strawberry.input(description="A hidden idea to show again.")
class ShowIdeaInput:
    idea_id: strawberry.ID = strawberry.field(description="The idea.")
    reason: str = strawberry.field(description="Why it may be seen after all; kept.")


@strawberry.input(description="Whether the caller's vote for an idea stands.")
class SetVoteInput:
    idea_id: strawberry.ID = strawberry.field(description="The idea.")
    voted: bool = strawberry.field(description="True casts the vote, false withdraws it.")
    decided_at: datetime | None = strawberry.field(
        default=None,
        description="When the person decided, by the phone's clock: a statement older than the one that stands changes "
        "nothing, one from the future counts as now. Absent is now.",
    )


@strawberry.type(description="An idea after a change.")
class IdeaPayload:
    idea: Idea | None = strawberry.field(default=None, description="As it stands now; null where refused.")
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.type(description="An idea after a vote.")
class SetVotePayload:
    idea: Idea | None = strawberry.field(
        default=None, description="With its new count and the caller's vote; null where refused."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(description="Which ideas a list holds; what is left out doesn't matter.")
class IdeaFilter:
    district_id: strawberry.ID | None = strawberry.field(default=None, description="In this district.")
    theme_id: strawberry.ID | None = strawberry.field(default=None, description="Of this theme.")
    group_id: strawberry.ID | None = strawberry.field(default=None, description="Owned by this group.")
    department_id: strawberry.ID | None = strawberry.field(default=None, description="Owned by this department.")
    responsible_id: strawberry.ID | None = strawberry.field(
        default=None, description="Whose post, held by this official now, answers for it."
    )
    status: list[IdeaStatus] | None = strawberry.field(default=None, description="In one of these statuses.")
    search: str | None = strawberry.field(
        default=None, description="With all of these words, or beginnings of words, in title or body: 200 characters."
    )
    overdue: bool | None = strawberry.field(
        default=None, description="Whether the municipality's reaction or answer is late now."
    )
