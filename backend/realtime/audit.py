"""Finds boards that hold something else than PostgreSQL says: emptied, forged, or written by an older program.

Rounds carry over what changed, so what is wrong where nothing changes would stay. An audit looks at some ideas on all
of their boards, and at some places of the boards; the next one goes on from there, first pages first. Where a
municipality has few ideas these are all of them, and where it has many an audit still costs the same. The first places
of the whole municipality's boards are in every one.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from backend.db import boards as truth
from backend.db.boards import NO_IDEA, Board, Window
from backend.db.pool import Pool, acquire
from backend.realtime.boards import (
    CHUNK,
    Boards,
    State,
    batch,
    board_field,
    board_key,
    board_of,
    held_size,
    shown_on,
    state_key,
    text,
)

IDEAS = 1000  # looked up on all of their boards, and as many of those found on boards
SLICE = 25  # places of a board at a time: a page
FIRST = 100  # places of the whole municipality's boards
AT_ONCE = 50  # boards asked for


@dataclass(slots=True)
class Found:
    """`refill` are boards that aren't held, or have become too short; those `wrong` are among them."""

    wrong: set[Board] = field(default_factory=set)
    refill: set[Board] = field(default_factory=set)


class Audit:
    """Of one municipality, by one process."""

    def __init__(self, pool: Pool, boards: Boards, municipality_id: UUID, *, ideas: int = IDEAS) -> None:
        self._pool = pool
        self._boards = boards
        self._municipality_id = municipality_id
        self._ideas = ideas
        self._idea = NO_IDEA
        self._slices: Iterator[tuple[Board, int]] = iter(())

    async def look(self) -> Found:
        """Looks on from where it looked last. Finds nothing while boards are made anew. Raises Unavailable, or one of
        REDIS_FAILURES.

        An idea that no transaction changed since the position, as read before all else, stands alike in PostgreSQL and
        in Redis, whenever these two are read.
        """
        state = await self._boards.state(self._municipality_id)
        if state is None:
            return Found()
        asked = await self._members(state)
        ids = {id for members in asked.values() for id in members}
        expected: defaultdict[Board, dict[str, int]] = defaultdict(dict)
        async with acquire(self._pool) as conn:
            ideas = await truth.next_ideas(
                conn, municipality_id=self._municipality_id, after=self._idea, limit=self._ideas
            )
            self._idea = ideas[-1] if len(ideas) == self._ideas else NO_IDEA
            idea_ids = list({*ideas, *filter(None, map(_idea_id, ids))})
            for at_midnight in (False, True):
                standings = await truth.board_standings(
                    conn, municipality_id=self._municipality_id, idea_ids=idea_ids, at_midnight=at_midnight
                )
                for n, standing in enumerate(standings):
                    for board, score in shown_on(self._municipality_id, standing, at_midnight=at_midnight):
                        expected[board][str(standing.idea_id)] = score
                    if n % 50 == 0:
                        await asyncio.sleep(0)  # others have requests to answer
        found = Found()
        different = await self._compare(state, asked, expected, found)
        async with acquire(self._pool) as conn:
            changed = await truth.changed_ideas(
                conn, municipality_id=self._municipality_id, since=state.position, idea_ids=idea_ids
            )
        late = set(map(str, changed))
        found.wrong |= {board for board, members in different.items() if members - late}
        found.refill |= found.wrong
        after = await self._boards.state(self._municipality_id)
        same = after and (after.generation, after.filled) == (state.generation, state.filled)
        return found if same and after and after.position >= state.position else Found()

    async def _members(self, state: State) -> dict[Board, set[str]]:
        """Who stands on some places of the boards."""
        members: dict[Board, set[str]] = {}
        seen: set[str] = set()
        ranges = [(Board(self._municipality_id, None, window), 0, FIRST) for window in Window]
        began = False
        while ranges:
            pipe = self._boards.redis.pipeline(transaction=False)
            for board, start, length in ranges:
                pipe.zrange(board_key(board, state.generation), start, start + length - 1)
            for (board, _, _), answer in zip(ranges, await pipe.execute(raise_on_error=False), strict=True):
                # What is no sorted set has no members to look at: its size tells.
                ids = {id.decode(errors="surrogateescape") for id in answer} if isinstance(answer, list) else set()
                members.setdefault(board, set()).update(ids)
                seen |= ids
            if len(seen) >= self._ideas:
                break
            ranges = [(board, start, SLICE) for board, start in itertools.islice(self._slices, AT_ONCE)]
            if not ranges and not began:
                began = True
                self._slices = await self._all_slices()
                ranges = [(board, start, SLICE) for board, start in itertools.islice(self._slices, AT_ONCE)]
        return members

    async def _all_slices(self) -> Iterator[tuple[Board, int]]:
        """Every place of every board, first pages first."""
        fields = self._boards.redis.hscan_iter(state_key(self._municipality_id), count=CHUNK)
        sizes: dict[Board, int] = {}
        async for name, size in fields:
            board = board_of(self._municipality_id, text(name))
            if board:
                sizes[board] = held_size(text(size))[0]
        deepest = max(sizes.values(), default=0)
        return (
            (board, start)
            for start in range(0, max(deepest, 1), SLICE)
            for board, size in sizes.items()
            if start < max(size, 1)
        )

    async def _compare(
        self, state: State, asked: dict[Board, set[str]], expected: dict[Board, dict[str, int]], found: Found
    ) -> dict[Board, set[str]]:
        """Who stands elsewhere on a board than expected, or isn't there at all. Says which boards are of another size
        than was written down."""
        different: dict[Board, set[str]] = {}
        held = iter([board for board in asked.keys() | expected.keys() if batch(board) < state.filled])
        while boards := list(itertools.islice(held, AT_ONCE)):
            pipe = self._boards.redis.pipeline(transaction=True)
            ids = [sorted(asked.get(board, set()) | expected.get(board, {}).keys()) for board in boards]
            for board, members in zip(boards, ids, strict=True):
                key = board_key(board, state.generation)
                pipe.hget(state_key(self._municipality_id), board_field(board))
                pipe.zcard(key)
                pipe.execute_command("ZMSCORE", key, *(id.encode(errors="surrogateescape") for id in members or [""]))
            answers = iter(await pipe.execute(raise_on_error=False))
            for board, members in zip(boards, ids, strict=True):
                field, count, scores = next(answers), next(answers), next(answers)
                size, floor = held_size(text(field) or "0")
                if size < 0:
                    found.refill.add(board)
                elif count != size:
                    found.wrong.add(board)
                else:
                    should = expected.get(board, {})
                    different[board] = {
                        id
                        for id, score in zip(members, scores, strict=False)  # one score where nobody is asked for
                        if score != _above(should.get(id), id, floor)
                    }
                    if floor and size < state.depths.least(board) and not board.at_midnight:
                        found.refill.add(board)
        return different


def _above(score: int | None, id: str, floor: tuple[float, str] | None) -> int | None:
    return score if score is not None and (floor is None or (score, id) <= floor) else None


def _idea_id(id: str) -> UUID | None:
    try:
        return UUID(id)
    except ValueError:
        return None
