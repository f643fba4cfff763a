"""Passkeys: adding, using and removing them. Each takes two steps, since the authenticator signs what we say."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from backend.auth.passkeys import (
    MILLISECONDS,
    PasskeyRefused,
    credential_hash,
    login_options,
    new_challenge,
    registration_options,
    verify_login,
    verify_registration,
)
from backend.context import Context, Info
from backend.db import audit, residents, roles
from backend.db import passkeys as db
from backend.db.pool import Connection, acquire, transaction
from backend.errors import Refusal, Unauthenticated
from backend.resolvers.inputs import id_in
from backend.resolvers.sessions import session_payload, start
from backend.rules.text import optional_text, required_text
from backend.schema.nodes import node_id
from backend.schema.passkeys import (
    BeginPasskeyLoginInput,
    BeginPasskeyRegistrationInput,
    FinishPasskeyLoginInput,
    FinishPasskeyRegistrationInput,
    PasskeyOptionsPayload,
    PasskeyPayload,
    RemovePasskeyInput,
    passkey,
)
from backend.schema.sessions import SessionPayload

NAME_LIMIT = 60
MOST = 20  # of one account


async def begin_passkey_registration(info: Info, input: BeginPasskeyRegistrationInput) -> PasskeyOptionsPayload:
    context = info.context
    id, challenge = await _challenge(context, input.origin, context.viewer.id)
    async with acquire(context.pool) as conn:
        row = await residents.resident_by_id(conn, municipality_id=context.municipality_id, id=context.viewer.id)
    if row is None:
        raise Unauthenticated
    options = registration_options(
        origin=input.origin,
        challenge=challenge,
        municipality=context.name(context.catalogue.names),
        resident_id=row.id,
        name=row.display_name,
    )
    return PasskeyOptionsPayload(challenge_id=node_id("PasskeyChallenge", id), options=options)


async def finish_passkey_registration(info: Info, input: FinishPasskeyRegistrationInput) -> PasskeyPayload:
    context, name = info.context, required_text(input.name, field="name", limit=NAME_LIMIT)
    challenge = await _asked(context, input.challenge_id, context.viewer.id)
    try:
        new = verify_registration(input.credential, origins=_origins(context), challenge=challenge)
    except PasskeyRefused:
        raise Refusal("INVALID", "credential", reason="passkey_refused") from None
    async with transaction(context.pool) as conn:
        # Locked, so that two at once don't both become the twentieth.
        if await roles.lock_account(conn, **context.own) is None:
            raise Unauthenticated
        if len(await db.passkeys_of(conn, **context.own)) >= MOST:
            raise Refusal("LIMIT_REACHED", reason="passkeys_most", limit=MOST)
        row = await db.add_passkey(
            conn,
            **context.own,
            credential_hash=new.credential_hash,
            public_key=new.public_key,
            sign_count=new.sign_count,
            name=name,
        )
        if row is None:
            raise Refusal("INVALID", "credential", reason="passkey_refused")
        await _record(context, conn, "PASSKEY_ADDED", row.id)
    return PasskeyPayload(passkey=passkey(row))


async def begin_passkey_login(info: Info, input: BeginPasskeyLoginInput) -> PasskeyOptionsPayload:
    id, challenge = await _challenge(info.context, input.origin, None)
    return PasskeyOptionsPayload(
        challenge_id=node_id("PasskeyChallenge", id), options=login_options(origin=input.origin, challenge=challenge)
    )


async def finish_passkey_login(info: Info, input: FinishPasskeyLoginInput) -> SessionPayload:
    """Whatever is wrong is refused in the same words: they tell nothing of who has a passkey."""
    context, municipality_id = info.context, info.context.municipality_id
    device_name = optional_text(input.device_name, field="deviceName", limit=NAME_LIMIT) or None
    await context.limit("LOGINS")
    challenge = await _asked(context, input.challenge_id, None)
    try:
        hashed = credential_hash(input.credential)
        async with transaction(context.pool) as conn:
            known = await db.credential(conn, municipality_id=municipality_id, credential_hash=hashed)
            if known is None:
                raise PasskeyRefused
            count = verify_login(
                input.credential,
                origins=_origins(context),
                challenge=challenge,
                public_key=known.public_key,
                sign_count=known.sign_count,
            )
            if not await db.use_passkey(conn, municipality_id=municipality_id, id=known.id, sign_count=count):
                raise PasskeyRefused
            row = await residents.resident_by_id(conn, municipality_id=municipality_id, id=known.resident_id)
            if row is None:
                raise PasskeyRefused
            started = await start(context, conn, resident_id=row.id, method="PASSKEY", device_name=device_name)
    except PasskeyRefused:
        raise Refusal("INVALID", "credential", reason="passkey_refused") from None
    return session_payload(context, row, started)


async def remove_passkey(info: Info, input: RemovePasskeyInput) -> PasskeyPayload:
    context, id = info.context, id_in("Passkey", input.passkey_id, field="passkeyId")
    async with transaction(context.pool) as conn:
        row = await db.remove_passkey(conn, **context.own, id=id)
        if row is None:
            raise Refusal("NOT_FOUND", "passkeyId")
        await _record(context, conn, "PASSKEY_REMOVED", row.id)
    return PasskeyPayload(passkey=passkey(row))


def _origins(context: Context) -> frozenset[str]:
    return context.services.settings.passkey_origins_of(context.catalogue.slug)


async def _challenge(context: Context, origin: str, resident_id: UUID | None) -> tuple[UUID, bytes]:
    if origin not in _origins(context):
        raise Refusal("INVALID", "origin", reason="passkeys_elsewhere")
    challenge = new_challenge()
    async with acquire(context.pool) as conn:
        id = await db.add_challenge(
            conn,
            municipality_id=context.municipality_id,
            resident_id=resident_id,
            challenge=challenge,
            expires_at=datetime.now(UTC) + timedelta(milliseconds=MILLISECONDS),
        )
    return id, challenge


async def _asked(context: Context, challenge_id: str, resident_id: UUID | None) -> bytes:
    """The challenge, spent for good before what answers it is looked at. Raises Refusal INVALID."""
    id = id_in("PasskeyChallenge", challenge_id, field="challengeId")
    async with acquire(context.pool) as conn:
        challenge = await db.take_challenge(
            conn, municipality_id=context.municipality_id, id=id, resident_id=resident_id
        )
    if challenge is None:
        raise Refusal("INVALID", "challengeId", reason="passkey_too_late")
    return challenge


async def _record(context: Context, conn: Connection, act: str, passkey_id: UUID) -> None:
    await audit.record(
        conn,
        municipality_id=context.municipality_id,
        actor_id=context.viewer.id,
        act=act,
        subject_id=context.viewer.id,
        details={"passkey": passkey_id},
    )
