"""Forgets what is kept for a time only (docs/privacy.md has the times)."""

from functools import partial
from typing import Final

from backend.catalogues import Catalogues
from backend.db import data_exports
from backend.db.email_codes import prune_email_codes
from backend.db.erasures import idle_devices
from backend.db.idempotency import prune_idempotency_keys
from backend.db.invitations import prune_invitations
from backend.db.logins import prune_logins
from backend.db.notifications import prune_notifications
from backend.db.passkeys import prune_challenges
from backend.db.pool import Pool, acquire, take_time, transaction
from backend.db.public_changes import prune_public_changes
from backend.db.revocations import prune_revocations
from backend.db.sessions import prune_sessions
from backend.jobs.erase import ask_erasure
from backend.jobs.queue import Chore, prune_log
from backend.settings import Settings

ROWS_AT_ONCE: Final = 5_000
ACCOUNTS_AT_ONCE: Final = 200  # an hour, in each municipality


def prune(pool: Pool, settings: Settings) -> Chore:
    async def run() -> None:
        for forget in (
            prune_email_codes,
            prune_idempotency_keys,
            prune_public_changes,
            prune_challenges,
            prune_invitations,
            prune_logins,
            data_exports.prune,
            partial(prune_log, days=settings.job_log_days),
            prune_revocations,
        ):
            async with transaction(pool) as conn:
                await take_time(conn)  # after a long stop of the workers there is much
                await forget(conn)
        async with acquire(pool) as conn:
            await prune_sessions(conn, days=settings.device_days)

    return run


def prune_old_notifications(pool: Pool, settings: Settings) -> Chore:
    async def some() -> int:
        async with transaction(pool) as conn:
            await take_time(conn)
            return await prune_notifications(conn, days=settings.notification_days, limit=ROWS_AT_ONCE)

    async def run() -> None:
        while await some() == ROWS_AT_ONCE:
            pass

    return run


def erase_idle_devices(pool: Pool, settings: Settings) -> Chore:
    """Accounts that nobody can use any more: their devices' sessions are over, and they were proven by nothing else."""

    async def run() -> None:
        for municipality_id in (await Catalogues(pool).ids()).values():
            async with transaction(pool) as conn:
                await take_time(conn)
                idle = await idle_devices(
                    conn,
                    municipality_id=municipality_id,
                    days=settings.inactive_account_days,
                    limit=ACCOUNTS_AT_ONCE,
                )
                for resident_id in idle:
                    await ask_erasure(conn, municipality_id=municipality_id, resident_id=resident_id)

    return run
