"""Device accounts, and the sessions of every account."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from backend.auth.refresh import LIFETIME, Verdict, decide_refresh
from backend.auth.secrets import hash_secret, new_secret
from backend.auth.tokens import sign_access_token
from backend.context import Context, Info
from backend.db import residents, sessions
from backend.db.pool import Connection, transaction
from backend.db.residents import ResidentRow
from backend.errors import Refusal, Unauthenticated
from backend.messages import best_locale
from backend.resolvers.inputs import id_in
from backend.resolvers.once import once
from backend.rules.names import NAME_LIMIT, check_name
from backend.rules.text import optional_text
from backend.schema.nodes import node_id
from backend.schema.session_list import EndAllSessionsInput, EndSessionInput, EndSessionsPayload
from backend.schema.sessions import RefreshSessionInput, RegisterDeviceInput, SessionPayload
from backend.schema.viewer import viewer
from backend.viewer import Viewer

DEVICE_NAME_LIMIT = 60
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
    device = device_name(input.device_name)
    if name:
        check_name(name, catalogue=context.catalogue, field="displayName")

    async def make() -> UUID:
        await context.limit("DEVICES")
        return await residents.register_resident(
            conn,
            municipality_id=context.municipality_id,
            display_name=name or made_up_name(input.locale),
            locale=input.locale,
            strength="DEVICE",
        )

    async with transaction(context.pool) as conn:
        resident_id = await once(
            context,
            conn,
            operation="registerDevice",
            key=input.idempotency_key,
            input={"locale": input.locale, "display_name": name} | ({"device_name": device} if device else {}),
            make=make,
            caller_id=UUID(int=0),
        )
        row = await residents.resident_by_id(conn, municipality_id=context.municipality_id, id=resident_id)
        # Repeated, a registration gives new tokens to who holds its key: no longer where somebody was signed out. And
        # who has proven more than a device since gets in by that alone: a key is no login.
        if (
            row is None
            or row.strength != "DEVICE"
            or await sessions.has_ended_session(conn, municipality_id=context.municipality_id, resident_id=row.id)
        ):
            raise Unauthenticated
        started = await start(context, conn, resident_id=row.id, method="DEVICE", device_name=device)
    return session_payload(context, row, started)


def made_up_name(locale: str) -> str:
    """For whoever gives none."""
    return f"{_RESIDENT[best_locale(locale, ('en',))]} {secrets.randbelow(9000) + 1000}"


async def refresh_session(info: Info, input: RefreshSessionInput) -> SessionPayload:
    context = info.context
    async with transaction(context.pool) as conn:
        going_on = await _rotate(context, conn, input.refresh_token)
    # Only here, so that a session ended for reuse stays ended.
    if going_on is Verdict.END:
        await context.services.revocations.announce(context.municipality_id)
    if isinstance(going_on, Verdict):
        raise Unauthenticated
    return session_payload(context, *going_on)


async def end_session(info: Info, input: EndSessionInput) -> EndSessionsPayload:
    """One of the caller's own, ended already or not: a call whose answer was lost can be repeated."""
    context, session_id = info.context, id_in("Session", input.session_id, field="sessionId")
    async with transaction(context.pool) as conn:
        if not await sessions.is_session_of(conn, **context.own, session_id=session_id):
            raise Refusal("NOT_FOUND", "sessionId")
        await sessions.end_session(
            conn, municipality_id=context.municipality_id, session_id=session_id, now=datetime.now(UTC)
        )
    return await _ended(context, [session_id])


async def end_all_sessions(info: Info, input: EndAllSessionsInput) -> EndSessionsPayload:
    context = info.context
    but = context.viewer.session_id if input.except_current else None
    async with transaction(context.pool) as conn:
        ended = await sessions.end_sessions(conn, **context.own, now=datetime.now(UTC), but=but)
    return await _ended(context, ended)


async def _ended(context: Context, ids: Sequence[UUID]) -> EndSessionsPayload:
    """What ends the present session doesn't wait until that is known here: over WebSocket there would be no answer."""
    await context.services.revocations.announce(context.municipality_id, wait=context.viewer.session_id not in ids)
    return EndSessionsPayload(ended_session_ids=[node_id("Session", id) for id in ids])


async def _rotate(context: Context, conn: Connection, refresh_token: str) -> tuple[ResidentRow, Started] | Verdict:
    """Whose session goes on, and how; or why it doesn't."""
    now, successor = datetime.now(UTC), new_secret()
    presented = await sessions.lock_session_by_refresh_token(
        conn, municipality_id=context.municipality_id, token_hash=hash_secret(refresh_token)
    )
    if presented is None:
        return Verdict.REFUSE
    verdict = decide_refresh(presented, now=now)
    if verdict is Verdict.END:
        await sessions.end_session(
            conn, municipality_id=context.municipality_id, session_id=presented.session_id, now=now
        )
    if verdict is not Verdict.ROTATE:
        return verdict
    await sessions.rotate_session(
        conn,
        municipality_id=context.municipality_id,
        presented=presented,
        successor_hash=hash_secret(successor),
        now=now,
        expires_at=now + LIFETIME,
    )
    row = await residents.resident_by_id(conn, municipality_id=context.municipality_id, id=presented.resident_id)
    return (row, Started(presented.session_id, successor, now)) if row else Verdict.REFUSE


def device_name(given: str | None) -> str | None:
    """Of an input's `deviceName`. Raises Refusal TOO_LONG."""
    return optional_text(given, field="deviceName", limit=DEVICE_NAME_LIMIT) or None


async def start(
    context: Context, conn: Connection, *, resident_id: UUID, method: str, device_name: str | None = None
) -> Started:
    """A new session. `method` is a `session_method` of the database. What it pushes out is announced by whoever calls,
    or found out by the next poll."""
    refresh_token, now = new_secret(), datetime.now(UTC)
    session_id = await sessions.start_session(
        conn,
        municipality_id=context.municipality_id,
        resident_id=resident_id,
        token_hash=hash_secret(refresh_token),
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
    context.become(Viewer(row.id, frozenset(row.roles), started.session_id))
    return SessionPayload(
        access_token=access_token,
        access_token_expires_at=expires_at,
        refresh_token=started.refresh_token,
        refresh_token_expires_at=started.now + LIFETIME,
        viewer=viewer(row),
    )
