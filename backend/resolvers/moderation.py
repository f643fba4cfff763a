"""What moderators do with ideas: hide them, and show them again."""

from backend.context import Context, Info
from backend.db import audit, ideas
from backend.db.pool import transaction
from backend.errors import Refusal
from backend.resolvers.inputs import id_in
from backend.rules.ideas import REASON_LIMIT
from backend.rules.text import required_text
from backend.schema.idea_inputs import HideIdeaInput, IdeaPayload, ShowIdeaInput
from backend.schema.ideas import idea


async def hide_idea(info: Info, input: HideIdeaInput) -> IdeaPayload:
    return await _moderate(info.context, input.idea_id, input.reason, hidden=True)


async def show_idea(info: Info, input: ShowIdeaInput) -> IdeaPayload:
    return await _moderate(info.context, input.idea_id, input.reason, hidden=False)


async def _moderate(context: Context, id: str, text: str, *, hidden: bool) -> IdeaPayload:
    idea_id = id_in("Idea", id, field="ideaId")
    reason = required_text(text, field="reason", limit=REASON_LIMIT)
    async with transaction(context.pool) as conn:
        row = await ideas.idea_for_update(conn, **context.scope, id=idea_id)
        if row is None:
            raise Refusal("NOT_FOUND", "ideaId")
        if (row.hidden_reason is not None) != hidden:
            await ideas.place_idea(
                conn,
                municipality_id=context.municipality_id,
                idea_id=idea_id,
                status=row.status,
                hidden_reason=reason if hidden else None,
            )
            await ideas.add_moderation(
                conn,
                municipality_id=context.municipality_id,
                idea_id=idea_id,
                moderator_id=context.viewer.id,
                hidden=hidden,
                reason=reason,
            )
            await audit.record(
                conn,
                municipality_id=context.municipality_id,
                actor_id=context.viewer.id,
                act="IDEA_HIDDEN" if hidden else "IDEA_SHOWN",
                subject_id=idea_id,
            )
    row = await context.read.idea(idea_id)
    return IdeaPayload(idea=idea(row) if row else None)
