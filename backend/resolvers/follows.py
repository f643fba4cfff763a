"""Following ideas."""

from backend.context import Info
from backend.db import follows
from backend.db.pool import transaction
from backend.errors import Refusal
from backend.resolvers.inputs import id_in
from backend.schema.follows import SetFollowInput, SetFollowPayload
from backend.schema.ideas import idea


async def set_follow(info: Info, input: SetFollowInput) -> SetFollowPayload:
    context, idea_id = info.context, id_in("Idea", input.subject_id, field="subjectId")
    async with transaction(context.pool) as conn:
        if not await follows.set_follow(conn, **context.scope, idea_id=idea_id, following=input.following):
            raise Refusal("NOT_FOUND", "subjectId")
    row = await context.read.idea(idea_id)
    return SetFollowPayload(subject=idea(row) if row else None)
