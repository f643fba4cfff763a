"""What the shorter commands do."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
from rich.console import Console
from rich.progress import Progress

from backend.auth.keys import SigningKeys, load_signing_keys
from backend.auth.tokens import sign_access_token
from backend.catalogues import Catalogues
from backend.db import audit, migrate, municipalities, residents, roles, sessions
from backend.db.imports import hold_ideas
from backend.db.municipalities import Catalogue
from backend.db.pool import Connection, open_pool, prepare_connection
from backend.db.residents import ResidentRow
from backend.db.votes import recount
from backend.errors import BadUserInput, HeittoError, RequestError
from backend.ids import parse_id
from backend.jobs.erase import ask_erasure
from backend.realtime.boards import Boards
from backend.realtime.projector import Projector
from backend.realtime.redis import open_redis
from backend.settings import Settings

ROLES: Final = ("RESIDENT", "OFFICIAL", "COORDINATOR", "MODERATOR", "ADMINISTRATOR")
STRENGTHS: Final = ("DEVICE", "EMAIL", "STRONG")
LONGEST_STATEMENT_SECONDS: Final = 4.0  # statement_timeout of the servers is 3 s
TITLES: Final = {
    "OFFICIAL": {"fi": "Palveluvastaava", "sv": "Serviceansvarig", "en": "Service Officer"},
    "COORDINATOR": {"fi": "Koordinaattori", "sv": "Koordinator", "en": "Coordinator"},
}


class CommandError(HeittoError):
    """Why a command can't do what was asked; one line."""


async def connect(database_url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection of a command's own, without the server's timeouts."""
    conn = await asyncpg.connect(database_url, timeout=10, server_settings={"timezone": "UTC", "jit": "off"})
    await prepare_connection(conn)
    return conn


async def migrate_database(database_url: str, *, check: bool = False) -> list[str]:
    """The migrations applied, or with `check` those that are missing."""
    conn = await connect(database_url)
    try:
        return await (migrate.pending(conn) if check else migrate.migrate(conn))
    except migrate.EditedMigration as error:
        raise CommandError(str(error)) from None
    finally:
        await conn.close()


async def mint_tokens(
    settings: Settings,
    *,
    slug: str,
    role: str,
    strength: str,
    count: int,
    resident: str,
    department: str,
    ttl: int,
) -> list[str]:
    """Access tokens of new accounts, or of an existing one."""
    if role not in ROLES or strength not in STRENGTHS:
        raise CommandError(f"--role is one of {', '.join(ROLES)}; --strength one of {', '.join(STRENGTHS)}")
    assert settings.signing_key_file  # noqa: S101 # required by the command
    keys = load_signing_keys(settings.signing_key_file)
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            catalogue = await find_municipality(conn, slug)
            if resident:
                ids = [read_id("Resident", resident)]
            else:
                place = read_id("Department", department) if department else catalogue.general_theme.department_id
                ids = [
                    await _account(conn, catalogue, role=role, strength=strength, department_id=place)
                    for _ in range(count)
                ]
            rows = [await residents.resident_by_id(conn, municipality_id=catalogue.id, id=id) for id in ids]
            if None in rows:
                raise CommandError(f"no such resident in {slug}: {resident}")
            tokens = [
                await _signed(conn, settings, keys, slug=slug, municipality_id=catalogue.id, row=row, ttl=ttl)
                for row in rows
                if row
            ]
            if resident:  # whoever has it acts as somebody else
                await audit.record(
                    conn,
                    municipality_id=catalogue.id,
                    actor_id=None,
                    act="TOKEN_MADE",
                    subject_id=ids[0],
                    details={"seconds": ttl},
                )
    except asyncpg.CheckViolationError as error:
        if error.constraint_name == "posts_at_most_200":
            raise CommandError("the department has 200 posts, and may not have more") from None
        raise
    finally:
        await conn.close()
    return tokens


async def _signed(
    conn: Connection,
    settings: Settings,
    keys: SigningKeys,
    *,
    slug: str,
    municipality_id: UUID,
    row: ResidentRow,
    ttl: int,
) -> str:
    """An access token, in a session of its own so that it can be called back."""
    now = datetime.now(UTC)
    session_id = await sessions.begin_command_session(
        conn,
        municipality_id=municipality_id,
        resident_id=row.id,
        now=now,
        expires_at=now + timedelta(seconds=ttl),
    )
    return sign_access_token(
        keys,
        issuer=settings.token_issuer,
        resident_id=row.id,
        session_id=session_id,
        municipality=slug,
        roles=("RESIDENT", *row.roles),
        strength=row.strength,
        now=now,
        ttl=ttl,
    )[0]


async def find_municipality(conn: Connection, slug: str) -> Catalogue:
    """Raises CommandError where there is none."""
    known = await municipalities.slugs(conn)
    found = await municipalities.catalogue(conn, known[slug]) if slug in known else None
    if found is None:
        raise CommandError(f"no municipality {slug!r}; there are: {', '.join(known) or 'none'}")
    return found


async def _account(conn: Connection, catalogue: Catalogue, *, role: str, strength: str, department_id: UUID) -> UUID:
    """A new resident; an official also gets a post at the end of the department."""
    if department_id not in catalogue.departments:
        raise CommandError("no such department in this municipality")
    if role in TITLES:
        made = await residents.seat_official(
            conn,
            municipality_id=catalogue.id,
            department_id=department_id,
            titles=TITLES[role],
            name=TITLES[role]["fi"],
            locale="fi",
            strength=strength,
        )
    else:
        made = await residents.register_resident(
            conn, municipality_id=catalogue.id, display_name="Asukas", locale="fi", strength=strength
        )
    if role != "RESIDENT":
        await roles.grant_role(
            conn, municipality_id=catalogue.id, resident_id=made, role=role, source=roles.COMMAND, actor_id=None
        )
    return made


def read_id(type_name: str, text: str) -> UUID:
    """A uuid, given as a global id or bare."""
    try:
        return UUID(text)
    except ValueError:
        pass
    try:
        found, uuid = parse_id(text)
    except BadUserInput:
        found, uuid = "", UUID(int=0)
    if found != type_name:
        raise CommandError(f"not the id of a {type_name.lower()}: {text}")
    return uuid


async def erase_accounts(settings: Settings, *, slug: str, residents: Sequence[str]) -> list[str]:
    """Has accounts erased, all or none; a line for each."""
    ids, lines = [read_id("Resident", each) for each in residents], []
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            municipality_id = (await find_municipality(conn, slug)).id
            for id in ids:
                asked_at = await ask_erasure(conn, municipality_id=municipality_id, resident_id=id)
                if asked_at:
                    await audit.record(
                        conn, municipality_id=municipality_id, actor_id=None, act="ERASURE_ASKED", subject_id=id
                    )
                lines.append(f"{id} {'will be erased by the worker' if asked_at else 'is nobody, or has been erased'}")
    finally:
        await conn.close()
    return lines


async def rebuild_all_leaderboards(settings: Settings) -> None:
    """Makes the boards of every municipality anew, with progress."""
    console = Console(stderr=False)
    pool, redis = await open_pool(settings.database_url, size=2), open_redis(settings.redis_url)
    try:
        catalogues = Catalogues(pool)
        projector = Projector(pool, Boards(redis), catalogues)
        slugs = await catalogues.ids()
        with Progress(console=console, disable=not console.is_terminal) as progress:
            for slug, municipality_id in progress.track(slugs.items(), description="Rebuilding leaderboards"):
                done = await projector.rebuild(municipality_id)
                console.print(f"{slug}: done" if done else f"{slug}: another process is rebuilding it")
    except RequestError as error:
        raise CommandError(error.message) from error
    finally:
        pool.terminate()
        await redis.aclose()


async def set_vote_strength(settings: Settings, *, slug: str, strength: str) -> None:
    """From which strength on votes count in a municipality; counts all of them anew. May be repeated."""
    if strength not in STRENGTHS:
        raise CommandError(f"--vote-strength is one of {', '.join(STRENGTHS)}")
    conn = await connect(settings.database_url)
    try:
        async with conn.transaction():
            catalogue = await find_municipality(conn, slug)
            changed = await municipalities.set_vote_strength(conn, municipality_id=catalogue.id, strength=strength)
            await audit.record(
                conn,
                municipality_id=catalogue.id,
                actor_id=None,
                act="VOTE_STRENGTH_SET",
                details={"before": catalogue.vote_strength, "after": strength},
            )
        # A vote that was under way has counted by the old rule. After this no other will; statements end by themselves.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_STATEMENT_SECONDS):
                while await municipalities.seen_from_before(conn, transaction=changed):  # noqa: ASYNC110 # others' work
                    await asyncio.sleep(0.05)
        async with conn.transaction():
            await hold_ideas(conn, municipality_id=catalogue.id)
            await recount(conn, municipality_id=catalogue.id)
    finally:
        await conn.close()
