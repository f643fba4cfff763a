"""Commands by which a real municipality begins: its offices out of a file, its first administrator by invitation."""

from uuid import UUID

import asyncpg

from backend.commands import CommandError, connect, find_municipality, read_id
from backend.db import audit, imports, municipalities
from backend.db.pool import Connection
from backend.errors import Refusal
from backend.mail.texts import LINKS
from backend.messages import message
from backend.resolvers.email_codes import normal_email
from backend.resolvers.invitations import invite
from backend.rules.offices import BadOffices, Offices, keys, read_offices, rows
from backend.rules.roles import check_role
from backend.settings import Settings


class _OnlyChecked(Exception):
    """Takes back what was done to see that it can be done."""


async def add_municipality(settings: Settings, content: bytes, *, check: bool = False) -> str:
    """What was added, or could be, in one line. Raises CommandError with all that is wrong."""
    try:
        offices = read_offices(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise CommandError("not UTF-8") from None
    except BadOffices as error:
        raise CommandError(str(error)) from None
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            await _add(conn, offices)
            if check:
                raise _OnlyChecked
    except _OnlyChecked:
        pass
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "municipalities_slug_key":
            raise
        raise CommandError(
            f"municipality.slug: there is a municipality {offices.municipality.slug!r} already"
        ) from None
    finally:
        await conn.close()
    return (
        f"{offices.municipality.slug}: {len(offices.departments)} departments, {len(offices.posts)} posts, "
        f"{len(offices.themes)} themes, {len(offices.districts)} districts"
    )


async def _add(conn: Connection, offices: Offices) -> None:
    terms = offices.municipality
    municipality_id = await municipalities.add_municipality(
        conn,
        slug=terms.slug,
        names={str(locale): text for locale, text in terms.name.items()},
        population=terms.population,
        time_zone=terms.time_zone,
        locales=terms.locales,
        vote_strength=terms.vote_strength,
        reaction_days=terms.reaction_days,
        answer_days=terms.answer_days,
    )
    named = keys(offices)
    ids = dict(zip(named, await imports.new_ids(conn, count=len(named)), strict=True))

    def id_of(kind: str, key: str) -> UUID:
        return ids[kind, key]

    for table, found in rows(offices, id_of):
        await municipalities.add_offices(conn, table, municipality_id=municipality_id, rows=found)
    await audit.record(
        conn, municipality_id=municipality_id, actor_id=None, act="MUNICIPALITY_ADDED", subject_id=municipality_id
    )


async def invite_staff(
    settings: Settings, *, slug: str, role: str, email: str, official: str, locale: str, show: bool
) -> str:
    """What to tell: where the link was mailed, or the link itself with `show`. Raises CommandError, Unavailable."""
    if not show and not settings.mail_configured:
        raise CommandError("no mail is set up (HEITTO_SMTP_URL): with --print the link is shown instead of mailed")
    conn = await connect(settings.database_url)
    try:
        catalogue = await find_municipality(conn, slug)
        official_id = read_id("Official", official) if official else None
        try:
            address = normal_email(email)
            check_role(role, official_id=official_id, catalogue=catalogue)
        except Refusal as refusal:
            raise CommandError(f"{(refusal.field or ('', slug))[1]}: {message(refusal.reason, 'en', {})}") from None
        async with conn.transaction():
            _, secret = await invite(
                conn,
                settings,
                municipality_id=catalogue.id,
                email=address,
                role=role,
                official_id=official_id,
                locale=locale,
                inviter_id=None,
                mailed=not show,
            )
    finally:
        await conn.close()
    if not show:
        return f"mailed to {address}: good once, for seven days"
    return f"{settings.mail_link}#{LINKS['invitation']}={secret}" if settings.mail_link else secret
