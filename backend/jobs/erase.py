"""Forgets a person. What stays, and why, is in docs/adr/0034.

It begins some seconds after it was asked for, when no process takes the account's tokens any more and what was let in
before is over, so nothing is written behind it. Each step takes what it finds and may be run again, from the start or
in the middle; the last one says that all is done. From then on a repeat does nothing, nor does what is left of a run
that another one overtook, for the person may have come back.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog

from backend.db import audit, erasures, groups, identities, sessions
from backend.db.pool import Connection, Pool, acquire, take_time, transaction
from backend.jobs.join_again import move_rest
from backend.jobs.notify_followers import announce
from backend.jobs.queue import Job, Payload, enqueue
from backend.jobs.send_mail import send_mail
from backend.mail.folder import forget_mails
from backend.settings import Settings

NAME: Final = "erase"
# Tokens are refused everywhere within 5 s, what was let in by then ends within 8 s, and what a join repeats (jobs/
# join_again.py) is done by then.
AFTER: Final = timedelta(seconds=20)
IDEAS_AT_ONCE: Final = 100
ROWS_AT_ONCE: Final = 5_000

log = structlog.get_logger()


async def ask_erasure(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> datetime | None:
    """Ends the account's sessions and has it erased once the transaction of `conn` is committed; when this was asked
    first, or None where there is nobody to forget. One that was joined into another is forgotten with that one."""
    resident_id = await identities.final_account(conn, municipality_id=municipality_id, id=resident_id) or resident_id
    asked_at = await erasures.ask_erasure(conn, municipality_id=municipality_id, resident_id=resident_id)
    if asked_at is None:
        return None
    await sessions.end_sessions(conn, municipality_id=municipality_id, resident_id=resident_id, now=datetime.now(UTC))
    await enqueue(conn, NAME, {"municipality_id": municipality_id, "resident_id": resident_id}, after=AFTER)
    return asked_at


def erase(pool: Pool, settings: Settings) -> Job:
    """The job, for a worker with this pool."""

    async def run(payload: Payload) -> None:
        whose = {"municipality_id": UUID(payload["municipality_id"]), "resident_id": UUID(payload["resident_id"])}
        with suppress(_Done):
            accounts = await _erase(pool, settings, **whose)
            # Ids alone, for whoever restores a backup of before: `heitto erase` does it again. Those that were joined
            # too: in an older backup they stand by themselves.
            for id in accounts:
                log.info("account_erased", municipality=payload["municipality_id"], resident=str(id))

    return run


class _Done(Exception):
    """Another run of the job was faster."""


@asynccontextmanager
async def _step(pool: Pool, **whose: UUID) -> AsyncIterator[Connection]:
    """A transaction in which the account is still to be erased: nobody comes back in it. Raises _Done."""
    async with transaction(pool) as conn:
        if not await erasures.hold_erased(conn, **whose):
            raise _Done
        yield conn


async def _erase(pool: Pool, settings: Settings, **whose: UUID) -> list[UUID]:
    """All of it; the account and those that were joined into it. Raises _Done."""
    async with _step(pool, **whose) as conn:
        accounts = await _gather(conn, **whose)
    async with acquire(pool) as conn:
        of = await erasures.groups_of(conn, **whose)
    for group_id in of:
        async with _step(pool, **whose) as conn:
            await _leave(conn, group_id, **whose)
    more = True
    while more:
        async with _step(pool, **whose) as conn:
            more = await _forget_ideas(conn, **whose)
    for what in ("follows", "notifications"):
        more = True
        while more:
            async with _step(pool, **whose) as conn:
                more = await erasures.forget_some(conn, what, **whose, limit=ROWS_AT_ONCE)
    async with _step(pool, **whose) as conn:
        # Again: who signed in meanwhile is signed out.
        await sessions.end_sessions(conn, **whose, now=datetime.now(UTC))
        await _say_goodbye(conn, settings, **whose)
        roles = await erasures.forget_resident(conn, **whose)
        await audit.record(
            conn,
            municipality_id=whose["municipality_id"],
            actor_id=None,
            act="ACCOUNT_ERASED",
            subject_id=whose["resident_id"],
            details={"roles": roles},
        )
    return accounts


async def _gather(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> list[UUID]:
    """The account and those that were joined into it; what was written to these since (jobs/join_again.py) is its own
    from here on, so that nothing comes after it."""
    await take_time(conn)
    accounts = await identities.all_accounts(conn, municipality_id=municipality_id, id=resident_id)
    joined_ids = [id for id in accounts if id != resident_id]
    if joined_ids:
        await move_rest(conn, municipality_id=municipality_id, joined_ids=joined_ids, survivor_id=resident_id)
    return accounts


async def _say_goodbye(conn: Connection, settings: Settings, *, municipality_id: UUID, resident_id: UUID) -> None:
    """A last mail to each address, which is sealed until it is sent; mails in the folder are removed."""
    whose = {"municipality_id": municipality_id, "resident_id": resident_id}
    locale = await erasures.locale(conn, **whose)
    for address in await identities.emails(conn, **whose):
        if settings.mail_folder:
            await asyncio.to_thread(forget_mails, settings.mail_folder, settings.secret_key, address)
        if settings.mail_configured:
            await send_mail(
                conn,
                settings,
                municipality_id=municipality_id,
                to=address,
                template="erased",
                locale=locale,
                values={},
                expires_at=datetime.now(UTC) + timedelta(days=1),
            )


async def _leave(conn: Connection, group_id: UUID, *, municipality_id: UUID, resident_id: UUID) -> None:
    if await groups.group_for_update(conn, municipality_id=municipality_id, id=group_id) is None:
        return
    await groups.leave_group(conn, municipality_id=municipality_id, group_id=group_id, resident_id=resident_id)
    await erasures.settle_left_group(conn, municipality_id=municipality_id, group_id=group_id, left_id=resident_id)


async def _forget_ideas(conn: Connection, *, municipality_id: UUID, resident_id: UUID) -> bool:
    """Some of them; whether there were any."""
    whose = {"municipality_id": municipality_id, "author_id": resident_id}
    ids = await erasures.hold_ideas_of(conn, **whose, limit=IDEAS_AT_ONCE)
    for idea_id, followed in await erasures.forget_ideas(conn, **whose, idea_ids=ids):
        if followed:
            await announce(
                conn,
                municipality_id=municipality_id,
                idea_id=idea_id,
                event_id=uuid4(),
                response_id=None,
                status_changed=True,
                actor_id=None,
            )
    return bool(ids)
