"""What residents and groups do with their ideas."""

import uuid
from uuid import UUID

import strawberry

from backend.context import Context, Info
from backend.db import groups, ideas
from backend.db.ideas import IdeaRow
from backend.db.pool import Connection, transaction
from backend.errors import Refusal
from backend.jobs.notify_followers import announce
from backend.resolvers.inputs import id_in
from backend.resolvers.once import once
from backend.rules.groups import MEMBERS
from backend.rules.ideas import (
    BODY_LIMIT,
    TITLE_LIMIT,
    check_editable,
    check_owner,
    check_version,
    check_withdrawable,
)
from backend.rules.text import optional_text, required_text
from backend.schema.idea_inputs import (
    EditIdeaInput,
    IdeaPayload,
    LocationInput,
    SubmitIdeaInput,
    WithdrawIdeaInput,
)
from backend.schema.ideas import idea


async def submit_idea(info: Info, input: SubmitIdeaInput) -> IdeaPayload:
    context = info.context
    title = required_text(input.title, field="title", limit=TITLE_LIMIT)
    body = optional_text(input.body, field="body", limit=BODY_LIMIT)
    group_id = None if input.group_id is None else id_in("Group", input.group_id, field="groupId")
    theme_id, district_id, location = _place(context, input.theme_id, input.district_id, input.location)
    department_id = context.catalogue.themes[theme_id].department_id
    viewer_id = context.viewer.id

    async def make() -> UUID:
        if group_id:
            await _check_member(context, conn, group_id)
        await context.limit("IDEAS")
        return await ideas.submit_idea(
            conn,
            municipality_id=context.municipality_id,
            title=title,
            body=body,
            locale=input.locale,
            author_id=viewer_id,
            group_id=group_id,
            theme_id=theme_id,
            district_id=district_id,
            location=location,
            department_id=department_id,
            post_id=context.catalogue.responsible_post(department_id, theme_id=theme_id, district_id=district_id),
        )

    told = (title, body, input.theme_id, input.district_id, location, input.group_id, input.locale)
    async with transaction(context.pool) as conn:
        idea_id = await once(
            context, conn, operation="submitIdea", key=input.idempotency_key, input={"told": told}, make=make
        )
    return await _payload(context, idea_id)


async def edit_idea(info: Info, input: EditIdeaInput) -> IdeaPayload:
    context, idea_id = info.context, id_in("Idea", input.idea_id, field="ideaId")
    async with transaction(context.pool) as conn:
        row = await _locked(context, conn, idea_id)
        check_version(row, input.expected_version)
        changed = _edited(context, row, input)
        text_changes = (changed.title, changed.body) != (row.title, row.body)
        voted = text_changes and await ideas.others_voted(
            conn, municipality_id=context.municipality_id, idea_id=idea_id, editor_id=context.viewer.id
        )
        check_editable(row, text_changes=text_changes, others_voted=voted)
        if changed != row:
            await ideas.edit_idea(conn, municipality_id=context.municipality_id, idea=changed)
    return await _payload(context, idea_id)


async def withdraw_idea(info: Info, input: WithdrawIdeaInput) -> IdeaPayload:
    context, idea_id = info.context, id_in("Idea", input.idea_id, field="ideaId")
    async with transaction(context.pool) as conn:
        row = await _locked(context, conn, idea_id)
        if row.status != "WITHDRAWN":
            check_withdrawable(row)
            await ideas.place_idea(
                conn,
                municipality_id=context.municipality_id,
                idea_id=idea_id,
                status="WITHDRAWN",
                hidden_reason=row.hidden_reason,
            )
            await announce(
                conn,
                municipality_id=context.municipality_id,
                idea_id=idea_id,
                event_id=uuid.uuid4(),
                response_id=None,
                status_changed=True,
                actor_id=context.viewer.id,
            )
    return await _payload(context, idea_id)


async def _locked(context: Context, conn: Connection, idea_id: UUID) -> IdeaRow:
    """The idea, locked, which the viewer owns. Raises Refusal NOT_FOUND, NOT_ALLOWED."""
    row = await ideas.idea_for_update(conn, **context.scope, id=idea_id)
    if row is None:
        raise Refusal("NOT_FOUND", "ideaId")
    role = await _group_role(context, conn, row.author_group_id) if row.author_group_id else None
    check_owner(row, context.viewer, role)
    return row


async def _group_role(context: Context, conn: Connection, group_id: UUID) -> str | None:
    roles = await groups.viewer_group_roles(
        conn, municipality_id=context.municipality_id, resident_id=context.viewer.id, group_ids=[group_id]
    )
    return roles.get(group_id)


async def _check_member(context: Context, conn: Connection, group_id: UUID) -> None:
    if await _group_role(context, conn, group_id) in MEMBERS:
        return
    if not await groups.groups_by_id(conn, municipality_id=context.municipality_id, ids=[group_id]):
        raise Refusal("NOT_FOUND", "groupId")
    raise Refusal("NOT_ALLOWED", "groupId", reason="not_in_group")


def _place(
    context: Context, theme: str | None, district: str | None, location: LocationInput | None
) -> tuple[UUID, UUID | None, tuple[float, float] | None]:
    """Theme (the general one where none is named), district and location, checked. Raises Refusal."""
    theme_id = context.catalogue.general_theme.id if theme is None else id_in("Theme", theme, field="themeId")
    district_id = None if district is None else id_in("District", district, field="districtId")
    if theme_id not in context.catalogue.themes:
        raise Refusal("NOT_FOUND", "themeId")
    if district_id is not None and district_id not in context.catalogue.districts:
        raise Refusal("NOT_FOUND", "districtId")
    if location is None:
        return theme_id, district_id, None
    if not -90 <= location.latitude <= 90:
        raise Refusal("INVALID", "location", "latitude")
    if not -180 <= location.longitude <= 180:
        raise Refusal("INVALID", "location", "longitude")
    return theme_id, district_id, (location.latitude, location.longitude)


def _edited(context: Context, row: IdeaRow, input: EditIdeaInput) -> IdeaRow:
    """The row as it shall be: absent keeps, null clears. A new theme or district may mean another owner."""
    changed = row
    if input.title is not strawberry.UNSET:
        changed = changed._replace(title=required_text(input.title, field="title", limit=TITLE_LIMIT))
    if input.body is not strawberry.UNSET:
        changed = changed._replace(body=optional_text(input.body, field="body", limit=BODY_LIMIT))
    theme = None if input.theme_id is strawberry.UNSET else input.theme_id
    district = None if input.district_id is strawberry.UNSET else input.district_id
    location = None if input.location is strawberry.UNSET else input.location
    theme_id, district_id, place = _place(context, theme, district, location)
    if input.location is not strawberry.UNSET:
        changed = changed._replace(latitude=place and place[0], longitude=place and place[1])
    if input.district_id is not strawberry.UNSET:
        changed = changed._replace(district_id=district_id)
    if input.theme_id is not strawberry.UNSET:
        changed = changed._replace(theme_id=theme_id)
    if (changed.theme_id, changed.district_id) == (row.theme_id, row.district_id) or row.first_response_at:
        return changed  # once the municipality has reacted, only a TRANSFER or an ASSIGNMENT moves the case
    department = context.catalogue.themes[changed.theme_id].department_id
    post = context.catalogue.responsible_post(department, theme_id=changed.theme_id, district_id=changed.district_id)
    return changed._replace(department_id=department, post_id=post)


async def _payload(context: Context, idea_id: UUID) -> IdeaPayload:
    """The idea as it stands after the commit."""
    row = await context.read.idea(idea_id)
    return IdeaPayload(idea=idea(row) if row else None)
