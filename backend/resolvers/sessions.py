"""Device accounts and their sessions."""

import secrets
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Started:
    """A session that was begun, or goes on, with the refresh token for its owner."""

    session_id: UUID
    refresh_token: str
    now: datetime


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
        started = await start(context, conn, resident_id=row.id, method="DEVICE")
    return session_payload(context, row, started)


async def refresh_session(info: Info, input: RefreshSessionInput) -> SessionPayload:
    context = info.context
    async with transaction(context.pool) as conn:
        going_on = await _rotate(context, conn, input.refresh_token)
    # Only here, so that a session ended for reuse stays ended.
    if going_on is None:
        raise Unauthenticated
    return session_payload(context, *going_on)


async def _rotate(context: Context, conn: Connection, refresh_token: str) -> tuple[ResidentRow, Started] | None:
    """Whose session goes on, and how; None where it doesn't."""
    now, successor = datetime.now(UTC), new_refresh_token()
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
    row = await residents.resident_by_id(conn, municipality_id=context.municipality_id, id=presented.resident_id)
    return (row, Started(presented.session_id, successor, now)) if row else None


async def start(
    context: Context, conn: Connection, *, resident_id: UUID, method: str, device_name: str | None = None
) -> Started:
    """A new session. `method` is a `session_method` of the database."""
    refresh_token, now = new_refresh_token(), datetime.now(UTC)
    session_id = await sessions.start_session(
        conn,
        municipality_id=context.municipality_id,
        resident_id=resident_id,
        token_hash=hash_refresh_token(refresh_token),
        now=now,
        expires_at=now + LIFETIME,
        method=method,
        device_name=device_name,
    )
    return Started(session_id, refresh_token, now)


def session_payload(context: Context, row: ResidentRow, started: Started) -> SessionPayload:
    """The tokens of a session, once its transaction is committed; the caller is who has signed in from here on."""
    access_token, expires_at = sign_access_token(
        context.services.keys,
        issuer=context.services.settings.token_issuer,
        resident_id=row.id,
        session_id=started.session_id,
        municipality=context.catalogue.slug,
        roles=("RESIDENT", *row.roles),
        strength=row.strength,
        now=started.now,
    )
    context.become(row.id, row.roles)
    return SessionPayload(
        access_token=access_token,
        access_token_expires_at=expires_at,
        refresh_token=started.refresh_token,
        refresh_token_expires_at=started.now + LIFETIME,
        viewer=viewer(row),
    )
