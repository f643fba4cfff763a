"""Commands by which a real municipality begins: its offices out of a file, its first administrator by invitation."""

from uuid import UUID

import asyncpg

from backend.commands import CommandError, connect
from backend.db import audit, municipalities
from backend.db.pool import Connection
from backend.rules.offices import BadOffices, Offices, keys, read_offices, rows
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
    ids = dict(zip(named, await municipalities.new_ids(conn, len(named)), strict=True))

    def id_of(kind: str, key: str) -> UUID:
        return ids[kind, key]

    for table, found in rows(offices, id_of):
        await municipalities.add_offices(conn, table, municipality_id=municipality_id, rows=found)
    await audit.record(
        conn, municipality_id=municipality_id, actor_id=None, act="MUNICIPALITY_ADDED", subject_id=municipality_id
    )
