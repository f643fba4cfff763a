"""Signing in by e-mail: a code and a link, either good once.

Nothing here looks up whether an address is known: what is done, counted, sent and answered is the same for all.
A challenge is for a request just as signed in as the one that asked: a link that somebody else had mailed adds nothing
to the account of whoever opens it.
"""

import unicodedata
from uuid import UUID, uuid4

from backend.auth.email_codes import hash_code, is_code, new_code, read_code
from backend.auth.identity import Identity, subject_hash
from backend.auth.secrets import hash_secret, new_secret
from backend.context import Context, Info
from backend.db import email_codes as db
from backend.db.email_codes import Challenge
from backend.db.pool import Connection, acquire, transaction
from backend.errors import Refusal
from backend.jobs.send_mail import send_mail
from backend.mail.addresses import BadAddress, mail_address
from backend.mail.sealing import NotSealedByUs, seal, unseal
from backend.resolvers.sessions import device_name
from backend.resolvers.sign_in import caller_account, sign_in
from backend.rules.text import required_text
from backend.schema.email_codes import (
    ConfirmEmailCodeInput,
    ConfirmEmailLinkInput,
    RequestEmailCodeInput,
    RequestEmailCodePayload,
)
from backend.schema.sessions import SessionPayload


async def request_email_code(info: Info, input: RequestEmailCodeInput) -> RequestEmailCodePayload:
    context, settings = info.context, info.context.services.settings
    email = normal_email(input.email)
    key = context.services.identity_key
    email_hash = subject_hash(key, municipality_id=context.municipality_id, kind="EMAIL", subject=email)
    await context.limit("CODES", email_hash.hex(), context.viewer.resident_id)
    id, code, link_secret = uuid4(), new_code(), new_secret()
    challenge = Challenge(
        id=id,
        email_hash=email_hash,
        sealed_email=seal(settings.secret_key, email.encode()),
        code_hash=hash_code(settings.secret_key, challenge_id=id, code=code),
        locale=input.locale,
    )
    async with transaction(context.pool) as conn:
        expires_at = await db.request_email_code(
            conn,
            challenge,
            municipality_id=context.municipality_id,
            resident_id=await caller_account(context, conn),
            link_hash=hash_secret(link_secret),
        )
        await send_mail(
            conn,
            settings,
            municipality_id=context.municipality_id,
            to=email,
            template="email_code",
            locale=input.locale,
            values={"code": code, "secret": link_secret},
            expires_at=expires_at,
        )
    return RequestEmailCodePayload(challenge_id=str(id), expires_at=expires_at)


async def confirm_email_code(info: Info, input: ConfirmEmailCodeInput) -> SessionPayload:
    context, settings = info.context, info.context.services.settings
    code, device = read_code(required_text(input.code, field="code", limit=60)), device_name(input.device_name)
    id = _challenge_id(input.challenge_id)
    if code is None:
        raise _wrong("code")
    await context.limit("CODE_TRIES", id.hex)
    async with acquire(context.pool) as conn:
        challenge = await db.try_email_code(
            conn, municipality_id=context.municipality_id, id=id, resident_id=await caller_account(context, conn)
        )
    typed = hash_code(settings.secret_key, challenge_id=id, code=code)
    if challenge is None or not is_code(challenge.code_hash, typed):
        raise _wrong("code")
    return await _sign_in(context, challenge, field="code", device=device)


async def confirm_email_link(info: Info, input: ConfirmEmailLinkInput) -> SessionPayload:
    context, device = info.context, device_name(input.device_name)
    async with acquire(context.pool) as conn:
        challenge = await db.email_code_of_link(
            conn,
            municipality_id=context.municipality_id,
            link_hash=hash_secret(input.secret),
            resident_id=await caller_account(context, conn),
        )
    if challenge is None:
        raise _wrong("secret")
    return await _sign_in(context, challenge, field="secret", device=device)


def normal_email(text: str) -> str:
    """One spelling of an address: it is who somebody is. Raises Refusal REQUIRED, TOO_LONG, INVALID."""
    written = required_text(text, field="email", limit=1_000)
    try:
        return mail_address(unicodedata.normalize("NFC", written).lower())
    except BadAddress:
        raise Refusal("INVALID", "email", reason="email_malformed") from None


async def _sign_in(context: Context, challenge: Challenge, *, field: str, device: str | None) -> SessionPayload:
    try:
        email = unseal(context.services.settings.secret_key, challenge.sealed_email).decode()
    except NotSealedByUs:  # the secret key has changed in this quarter of an hour
        raise _wrong(field) from None

    async def spend(conn: Connection, _: UUID) -> None:
        if not await db.spend_email_code(conn, municipality_id=context.municipality_id, id=challenge.id):
            raise _wrong(field)

    return await sign_in(
        context,
        identities=[Identity("EMAIL", challenge.email_hash, email)],
        strength="EMAIL",
        method="EMAIL",
        locale=challenge.locale,
        device_name=device,
        then=spend,
    )


def _challenge_id(text: str) -> UUID:
    """Whatever is no id is nobody's."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _wrong(field: str) -> Refusal:
    """The same for wrong, used, ended and never made."""
    return Refusal("INVALID", field, reason="email_code_wrong")
