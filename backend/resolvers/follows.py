"""Following ideas."""

from backend.context import Info
from backend.db import follows
from backend.db.pool import acquire, transaction
from backend.errors import Refusal
from backend.resolvers.inputs import id_in
from backend.schema.follows import FollowConnection, SetFollowInput, SetFollowPayload, follow_connection
from backend.schema.ideas import idea
from backend.schema.pages import page_request


async def follows_page(info: Info, *, first: int | None, after: str | None) -> FollowConnection:
    context = info.context
    binding = f"viewer.follows:{context.viewer.id}"
    request = page_request(info, binding, first=first, after=after)
    async with acquire(context.pool) as conn:
        page = await follows.follow_page(conn, **context.scope, request=request)
    return follow_connection(page, binding)


async def set_follow(info: Info, input: SetFollowInput) -> SetFollowPayload:
    context, idea_id = info.context, id_in("Idea", input.subject_id, field="subjectId")
    async with transaction(context.pool) as conn:
        if not await follows.set_follow(conn, **context.scope, idea_id=idea_id, following=input.following):
            raise Refusal("NOT_FOUND", "subjectId")
    context.refresh()
    row = await context.load.idea.load(idea_id)
    return SetFollowPayload(subject=idea(row) if row else None)
