"""Finds boards that hold something else than PostgreSQL says: emptied, forged, or written by an older program.

Rounds carry over what changed, so what is wrong where nothing changes would stay. Municipalities with more ideas than
LARGEST are not looked at, as that would cost too much every few seconds: there it stays until the day's new boards.
"""

import asyncio
import itertools
from collections.abc import Iterable
from uuid import UUID

from backend.db import boards as truth
from backend.db.boards import Standing
from backend.db.pool import Pool, acquire
from backend.realtime.boards import Boards, State, placed_key, placed_record, scores, text

LARGEST = 5_000  # ideas
BOARDS_AT_ONCE = 20

Scores = dict[str, int | float]


async def first_difference(pool: Pool, boards: Boards, municipality_id: UUID) -> str | None:
    """The key of something in Redis that isn't as it should be; None where there is none, or where the boards were
    just being made anew. Raises Unavailable, one of REDIS_FAILURES, and ValueError for what isn't text.

    PostgreSQL is read after Redis: an idea that no transaction has changed since the position must stand in both alike.
    """
    state = await boards.state(municipality_id)
    if state is None:
        return None
    placed = placed_key(municipality_id, state.generation)
    if await boards.redis.hlen(placed) > LARGEST:
        return None
    records, held, miscounted = await _held(boards, placed)
    async with acquire(pool) as conn:
        everything = await truth.board_changes(conn, municipality_id=municipality_id, since=0)
        later = await truth.board_changes(conn, municipality_id=municipality_id, since=state.position)
    if everything is None or later is None or str(everything.today) != state.today:
        return None
    changed = {str(standing.idea_id) for standing in later.standings}
    same = [standing for standing in everything.standings if str(standing.idea_id) not in changed]
    expected = _boards_of(municipality_id, state, same)
    different = set(miscounted)
    for key in held.keys() | expected.keys():
        members = {id: score for id, score in held.get(key, {}).items() if id not in changed}
        if members != expected.get(key, {}):
            different.add(key)
        await asyncio.sleep(0)  # others have requests to answer
    if {id: record for id, record in records.items() if id not in changed} != {
        str(standing.idea_id): placed_record(standing) for standing in same
    }:
        different.add(placed)
    after = await boards.state(municipality_id)
    if after is None or after.generation != state.generation or after.position < state.position:
        return None
    return min(different, default=None)


async def _held(boards: Boards, placed: str) -> tuple[dict[str, str], dict[str, Scores], list[str]]:
    """The records of ideas, the boards, and those boards that have more or fewer members than they were given."""
    fields = {text(field): text(value) for field, value in (await boards.redis.hgetall(placed)).items()}
    keys = iter([field for field in fields if field.startswith("{")])
    held: dict[str, Scores] = {}
    miscounted = []
    while chunk := list(itertools.islice(keys, BOARDS_AT_ONCE)):
        pipe = boards.redis.pipeline(transaction=True)
        pipe.hmget(placed, chunk)
        for key in chunk:
            pipe.zrange(key, 0, -1, withscores=True)
        sizes, *contents = await pipe.execute()
        for key, size, members in zip(chunk, sizes, contents, strict=True):
            held[key] = {text(id): score for id, score in members}
            if size is None or int(size) != len(members):
                miscounted.append(key)
    return {field: record for field, record in fields.items() if field not in held}, held, miscounted


def _boards_of(municipality_id: UUID, state: State, standings: Iterable[Standing]) -> dict[str, Scores]:
    found: dict[str, Scores] = {}
    for standing in standings:
        for key, score in scores(municipality_id, state.generation, standing):
            found.setdefault(key, {})[str(standing.idea_id)] = score
    return found
