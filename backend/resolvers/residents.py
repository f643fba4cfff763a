"""What people say of themselves."""

from backend.context import Info
from backend.db import residents
from backend.db.pool import transaction
from backend.errors import Unauthenticated
from backend.rules.names import NAME_LIMIT, check_name
from backend.rules.text import required_text
from backend.schema.residents import UpdateProfileInput
from backend.schema.viewer import ProfilePayload, viewer


async def update_profile(info: Info, input: UpdateProfileInput) -> ProfilePayload:
    context, name = info.context, None
    if input.display_name is not None:
        name = required_text(input.display_name, field="displayName", limit=NAME_LIMIT)
    async with transaction(context.pool) as conn:
        own = {"municipality_id": context.municipality_id, "id": context.viewer.id}
        row = await residents.resident_by_id(conn, **own)
        if row is None:
            raise Unauthenticated
        if name is not None and name != row.display_name:
            check_name(
                name,
                catalogue=context.catalogue,
                field="displayName",
                staff=bool(row.roles),
                acts_as=row.official_id if row.roles else None,
            )
        await residents.update_profile(conn, **own, display_name=name, locale=input.locale)
        row = await residents.resident_by_id(conn, **own)
    return ProfilePayload(viewer=viewer(row) if row else None)
