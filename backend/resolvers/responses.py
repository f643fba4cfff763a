"""The municipality's answers."""

from dataclasses import asdict
from datetime import UTC, datetime
from uuid import UUID

from backend.context import Info
from backend.db import audit, ideas, responses
from backend.db.pool import transaction
from backend.errors import Refusal
from backend.jobs.notify_followers import announce
from backend.resolvers.inputs import id_in
from backend.resolvers.once import once
from backend.rules.responses import NEXT_STEP_LIMIT, TEXT_LIMIT, Draft, Responder, respond
from backend.rules.text import optional_text, required_text
from backend.schema.ideas import idea
from backend.schema.responses import RespondToIdeaInput, ResponsePayload, response


async def respond_to_idea(info: Info, input: RespondToIdeaInput) -> ResponsePayload:
    context, idea_id = info.context, id_in("Idea", input.idea_id, field="ideaId")
    body = required_text(input.body, field="body", limit=TEXT_LIMIT)
    next_step = optional_text(input.next_step, field="nextStep", limit=NEXT_STEP_LIMIT) or None
    draft = Draft(
        kind=input.kind,
        reasons=optional_text(input.reasons, field="reasons", limit=TEXT_LIMIT) or None,
        next_step_due_at=input.next_step_due_at,
        new_status=input.new_status,
        to_department_id=_optional_id("Department", input.to_department_id, field="toDepartmentId"),
        to_official_id=_optional_id("Official", input.to_official_id, field="toOfficialId"),
        expected_version=input.expected_version,
    )
    # Read anew: who is in office, and where, decides.
    context.catalogue = await context.services.catalogues.get(context.municipality_id, fresh=True)

    async def make() -> UUID:
        municipality_id, actor_id = context.municipality_id, context.viewer.id
        row = await ideas.idea_for_update(conn, **context.scope, id=idea_id)
        if row is None:
            raise Refusal("NOT_FOUND", "ideaId")
        responder = Responder(
            await responses.acting_official(conn, municipality_id=municipality_id, resident_id=actor_id),
            coordinates="COORDINATOR" in context.viewer.roles,
        )
        effect = respond(row, draft, responder, catalogue=context.catalogue, now=datetime.now(UTC))
        response_id = await responses.respond_to_idea(
            conn,
            municipality_id=municipality_id,
            idea_id=idea_id,
            kind=draft.kind,
            body=body,
            reasons=draft.reasons,
            next_step=next_step,
            next_step_due_at=draft.next_step_due_at,
            to_department_id=draft.to_department_id,
            to_official_id=draft.to_official_id,
            **asdict(effect),
        )
        await announce(
            conn,
            municipality_id=municipality_id,
            idea_id=idea_id,
            event_id=response_id,
            response_id=response_id,
            status_changed=effect.status != row.status,
            actor_id=actor_id,
        )
        await audit.record(
            conn,
            municipality_id=municipality_id,
            actor_id=actor_id,
            act="RESPONDED",
            subject_id=idea_id,
            details={"response": response_id, "kind": draft.kind, "status": effect.status},
        )
        return response_id

    told = {"idea_id": idea_id, "body": body, "next_step": next_step, **asdict(draft)}
    async with transaction(context.pool) as conn:
        made = await once(context, conn, operation="respondToIdea", key=input.idempotency_key, input=told, make=make)
    response_row, idea_row = (await context.read.responses([made])).get(made), await context.read.idea(idea_id)
    return ResponsePayload(
        response=response(response_row) if response_row else None, idea=idea(idea_row) if idea_row else None
    )


def _optional_id(type_name: str, text: str | None, *, field: str) -> UUID | None:
    return None if text is None else id_in(type_name, text, field=field)
