"""Repeats a join some seconds later. Until every process has heard that a joined account's tokens are called back, one
of them may still take an idea or a follow for it: that goes where everything else went. Never a vote: `set_votes` asks
under the account's lock."""

from datetime import timedelta
from typing import Final, TypedDict
from uuid import UUID

from backend.db.identities import final_account, hold_accounts
from backend.db.joins import take_over, take_over_ideas
from backend.db.pool import Connection, Pool, transaction
from backend.jobs.queue import Job, Payload, enqueue

NAME: Final = "join_again"
# A process hears of it within 5 s, and what it has let in by then ends within 8 s.
AFTER: Final = timedelta(seconds=15)


class _Whose(TypedDict):
    municipality_id: UUID
    joined_ids: list[UUID]
    survivor_id: UUID


async def repeat_join(conn: Connection, *, municipality_id: UUID, joined_id: UUID) -> None:
    await enqueue(conn, NAME, {"municipality_id": municipality_id, "joined_id": joined_id}, after=AFTER)


def join_again(pool: Pool) -> Job:
    async def run(payload: Payload) -> None:
        municipality_id, joined_id = UUID(payload["municipality_id"]), UUID(payload["joined_id"])
        async with transaction(pool) as conn:
            survivor_id = await final_account(conn, municipality_id=municipality_id, id=joined_id)
            if survivor_id is not None:
                await move_rest(conn, municipality_id=municipality_id, joined_ids=[joined_id], survivor_id=survivor_id)

    return run


async def move_rest(conn: Connection, *, municipality_id: UUID, joined_ids: list[UUID], survivor_id: UUID) -> None:
    """What was written to joined accounts since becomes the survivor's."""
    held = await hold_accounts(conn, municipality_id=municipality_id, ids=(*joined_ids, survivor_id))
    if held[survivor_id].joined_into_id is not None or survivor_id in joined_ids:
        raise RuntimeError("joined meanwhile into another account; the next run follows")
    whose: _Whose = {"municipality_id": municipality_id, "joined_ids": joined_ids, "survivor_id": survivor_id}
    await take_over(conn, **whose)
    await take_over_ideas(conn, **whose, strength=held[survivor_id].strength)
