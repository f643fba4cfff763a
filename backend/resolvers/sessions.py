"""Device accounts and their sessions."""

import secrets
from datetime import UTC, datetime
from uuid import UUID

from backend.auth.refresh import LIFETIME, Verdict, decide_refresh, hash_refresh_token, new_refresh_token
from backend.auth.tokens import sign_access_token
from backend.context import Context, Info
from backend.db import residents, sessions
from backend.db.pool import Connection, transaction
from backend.db.residents import ResidentRow
from backend.errors import Unauthenticated
from backend.messages import best_locale
from backend.resolvers.once import once
from backend.rules.text import optional_text
from backend.schema.sessions import RefreshSessionInput, RegisterDeviceInput, SessionPayload
from backend.schema.viewer import viewer

NAME_LIMIT = 60
_RESIDENT = {"fi": "Asukas", "sv": "Invånare", "en": "Resident"}


async def register_device(info: Info, input: RegisterDeviceInput) -> SessionPayload:
    context = info.context
    name = optional_text(input.display_name, field="displayName", limit=NAME_LIMIT)

    async def make() -> UUID:
        made_up = f"{_RESIDENT[best_locale(input.locale, ('en',))]} {secrets.randbelow(9000) + 1000}"
        return await residents.register_resident(
            conn,
            municipality_id=context.municipality_id,
            display_name=name or made_up,
            locale=input.locale,
            strength="DEVICE",
        )

    async with transaction(context.pool) as conn:
        resident_id = await once(
            context,
            conn,
            operation="registerDevice",
            key=input.idempotency_key,
            input={"locale": input.locale, "display_name": name},
            make=make,
            caller_id=UUID(int=0),
        )
        row = await residents.resident_by_id(conn, municipality_id=context.municipality_id, id=resident_id)
        if row is None:
            raise Unauthenticated
        refresh_token, now = new_refresh_token(), datetime.now(UTC)
        await sessions.start_session(
            conn,
            municipality_id=context.municipality_id,
            resident_id=row.id,
            token_hash=hash_refresh_token(refresh_token),
            now=now,
            expires_at=now + LIFETIME,
        )
    return _session(context, row, refresh_token, now)


async def refresh_session(info: Info, input: RefreshSessionInput) -> SessionPayload:
    context, now = info.context, datetime.now(UTC)
    refresh_token = new_refresh_token()
    async with transaction(context.pool) as conn:
        row = await _rotate(context, conn, input.refresh_token, refresh_token, now)
    # Only here, so that a session ended for reuse stays ended.
    if row is None:
        raise Unauthenticated
    return _session(context, row, refresh_token, now)


async def _rotate(
    context: Context, conn: Connection, refresh_token: str, successor: str, now: datetime
) -> ResidentRow | None:
    """Whose session goes on with `successor`; None where it doesn't."""
    presented = await sessions.lock_session_by_refresh_token(
        conn, municipality_id=context.municipality_id, token_hash=hash_refresh_token(refresh_token)
    )
    if presented is None:
        return None
    verdict = decide_refresh(presented, now=now)
    if verdict is Verdict.END:
        await sessions.end_session(
            conn, municipality_id=context.municipality_id, session_id=presented.session_id, now=now
        )
    if verdict is not Verdict.ROTATE:
        return None
    await sessions.rotate_session(
        conn,
        municipality_id=context.municipality_id,
        presented=presented,
        successor_hash=hash_refresh_token(successor),
        now=now,
        expires_at=now + LIFETIME,
    )
    return await residents.resident_by_id(conn, municipality_id=context.municipality_id, id=presented.resident_id)


def _session(context: Context, row: ResidentRow, refresh_token: str, now: datetime) -> SessionPayload:
    access_token, expires_at = sign_access_token(
        context.services.keys,
        issuer=context.services.settings.token_issuer,
        resident_id=row.id,
        municipality=context.catalogue.slug,
        roles=("RESIDENT", *row.roles),
        strength=row.strength,
        now=now,
    )
    context.become(row.id, row.roles)
    return SessionPayload(
        access_token=access_token,
        access_token_expires_at=expires_at,
        refresh_token=refresh_token,
        refresh_token_expires_at=now + LIFETIME,
        viewer=viewer(row),
    )
