"""Votes."""

from backend.context import Info
from backend.db.votes import VoteStatement
from backend.errors import Refusal, Unauthenticated
from backend.resolvers.inputs import id_in
from backend.schema.idea_inputs import SetVoteInput, SetVotePayload
from backend.schema.ideas import idea


async def set_vote(info: Info, input: SetVoteInput) -> SetVotePayload:
    context = info.context
    idea_id = id_in("Idea", input.idea_id, field="ideaId")
    outcome = await context.services.votes.set_vote(
        VoteStatement(context.municipality_id, idea_id, context.viewer.id, input.voted, input.decided_at)
    )
    if not outcome.resident_known:
        raise Unauthenticated
    if outcome.idea is None:
        raise Refusal("NOT_FOUND", "ideaId")
    if not outcome.judged:
        raise Refusal("CLOSED", "ideaId", reason="idea_takes_no_votes")
    return SetVotePayload(idea=idea(outcome.idea, standing=outcome.vote))
