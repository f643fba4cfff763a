"""Forgets a person. What stays, and why, is in docs/adr/0034.

It begins some seconds after it was asked for, when no process takes the account's tokens any more and what was let in
before is over, so nothing is written behind it. Each step takes what it finds and may be run again, from the start or
in the middle; the last one says that all is done. From then on a repeat does nothing, for the person may have come
back.
"""

import asyncio
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
        municipality_id, resident_id = UUID(payload["municipality_id"]), UUID(payload["resident_id"])
        whose = {"municipality_id": municipality_id, "resident_id": resident_id}
        async with acquire(pool) as conn:
            if not await erasures.is_asked(conn, **whose):
                return
        accounts = await _gather(pool, **whose)
        async with acquire(pool) as conn:
            of = await erasures.groups_of(conn, **whose)
        for group_id in of:
            await _leave(pool, group_id, **whose)
        while await _forget_ideas(pool, **whose):
            pass
        for what in ("follows", "notifications"):
            async with acquire(pool) as conn:
                while await erasures.forget_some(conn, what, **whose, limit=ROWS_AT_ONCE):
                    pass
        async with transaction(pool) as conn:
            # Again: who signed in meanwhile is signed out.
            await sessions.end_sessions(conn, **whose, now=datetime.now(UTC))
            await _say_goodbye(conn, settings, **whose)
            roles = await erasures.forget_resident(conn, **whose)
            await audit.record(
                conn,
                municipality_id=municipality_id,
                actor_id=None,
                act="ACCOUNT_ERASED",
                subject_id=resident_id,
                details={"roles": roles},
            )
        # Ids alone, for whoever restores a backup of before: `heitto erase` does it again.
        # Those that were joined too: in an older backup they stand by themselves.
        for id in accounts:
            log.info("account_erased", municipality=payload["municipality_id"], resident=str(id))

    return run


async def _gather(pool: Pool, *, municipality_id: UUID, resident_id: UUID) -> list[UUID]:
    """The account and those that were joined into it; what was written to these since (jobs/join_again.py) is its own
    from here on, so that nothing comes after it."""
    async with transaction(pool) as conn:
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


async def _leave(pool: Pool, group_id: UUID, *, municipality_id: UUID, resident_id: UUID) -> None:
    async with transaction(pool) as conn:
        if await groups.group_for_update(conn, municipality_id=municipality_id, id=group_id) is None:
            return
        await groups.leave_group(conn, municipality_id=municipality_id, group_id=group_id, resident_id=resident_id)
        await erasures.settle_left_group(conn, municipality_id=municipality_id, group_id=group_id, left_id=resident_id)


async def _forget_ideas(pool: Pool, *, municipality_id: UUID, resident_id: UUID) -> bool:
    """Some of them; whether there were any."""
    async with transaction(pool) as conn:
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
