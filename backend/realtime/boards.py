"""Leaderboards in Redis: the best places of every board, as PostgreSQL has them, and how fresh they are.

Every municipality has one state: the generation its boards belong to, the local day their windows are for, the position
in PostgreSQL's changes up to which they are complete, and when (by Redis's clock) that was so. A board is believed only
while that is less than `FRESH_MS` ago. So an emptied Redis, one that came back with an old snapshot and one whose
projector died all look alike to a reader: not fresh, ask PostgreSQL. So does a board with more or fewer members than
the state says; what else others may have written into Redis, `audit.py` finds.

A board may be cut off below a place, its floor. It then holds all places down to the floor and none below, whatever
changes: so it is exact as far as it goes, and a reader knows where it ends. When it grows it is cut off again, higher;
when it has shrunk too far it is read anew from PostgreSQL.

Scores are negated, so that ascending order is the board's: score descending, then id (age) ascending.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

import orjson
from redis.commands.core import AsyncScript

from backend.cursors import Place
from backend.db.boards import Board, Entry, Standing, Window
from backend.realtime.board_scripts import APPLY, RANKS, READ
from backend.realtime.redis import Client

FRESH_MS: Final = 3000
KEPT_SECONDS: Final = 2 * 24 * 3600  # generations are daily; older ones vanish by themselves
STAGED_SECONDS: Final = 900  # likewise of boards put aside by a process that died
CHUNK: Final = 500  # ideas written, or places staged, in one go: readers needn't wait long in between
# In this order boards are read whole: those most asked for first, those of midnight last.
BATCHES: Final = [
    (at_midnight, scoped, window) for at_midnight in (False, True) for scoped in (False, True) for window in Window
]
LIVE: Final = len(BATCHES) // 2  # batches of boards that change


def state_key(municipality_id: UUID) -> str:
    """What `State` tells, and for each board (`board_field`) how many places it holds and, where it is cut off, the
    score and id of the last: `12` or `12 -3 0199…`. A board that isn't held is `-`."""
    return f"{{{municipality_id}}}:boards"


def board_key(board: Board, generation: str) -> str:
    return f"{{{board.municipality_id}}}:board:{generation}:{board_field(board)}"


def board_field(board: Board) -> str:
    return f"{board.scope_id or 'all'}:{board.window}{':midnight' if board.at_midnight else ''}"


def board_of(municipality_id: UUID, field: str) -> Board | None:
    """The board of a field of the state; None for what isn't one."""
    try:
        scope, window, *midnight = field.split(":")
        return Board(municipality_id, None if scope == "all" else UUID(scope), Window(window), bool(midnight))
    except ValueError:
        return None


def held_size(value: str) -> tuple[int, tuple[float, str] | None]:
    """How many places a board holds, -1 where it isn't held, and its floor (negated score and id)."""
    try:
        size, *floor = value.split(" ")
        return int(size), (float(floor[0]), floor[1]) if floor else None
    except (ValueError, IndexError):
        return -1, None


def rebuild_key(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:rebuild"


def fill_key(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:fill"


def changes_channel(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:changes"


def batch(board: Board) -> int:
    return BATCHES.index((board.at_midnight, board.scope_id is not None, board.window))


@dataclass(frozen=True, slots=True)
class Depths:
    """How many places boards hold at least, where there are so many: that of the whole municipality, and each other."""

    whole: int
    scoped: int

    def least(self, board: Board) -> int:
        return self.whole if board.scope_id is None else self.scoped

    def kept(self, board: Board) -> int:
        """As many a board is given, and keeps when it is cut off: it may lose some before it is read anew."""
        return self.least(board) + self.least(board) // 10

    def most(self, board: Board) -> int:
        """More than that, and a board is cut off."""
        return self.least(board) + max(2, self.least(board) // 5)


@dataclass(frozen=True, slots=True)
class State:
    """`round` is another after each change of a board; `filled` is how many of BATCHES were read whole."""

    generation: str
    today: str
    position: int
    as_of: int
    round: str
    filled: int
    depths: Depths


@dataclass(frozen=True, slots=True)
class Staged:
    """Boards read whole, at other keys, until they have caught up: field and key by board. `position` is where
    PostgreSQL's changes were when that began; `filled` how many batches the state counts once they are there."""

    generation: str
    position: int
    names: Mapping[Board, tuple[str, str]]
    filled: int = 0


class Boards:
    """Reads and writes boards. Raises one of REDIS_FAILURES where Redis fails; the caller then asks PostgreSQL."""

    def __init__(self, redis: Client) -> None:
        self.redis = redis
        self._read = redis.register_script(READ)
        self._ranks = redis.register_script(RANKS)
        self._apply = redis.register_script(APPLY)
        self._generations: dict[UUID, str] = {}

    async def page(self, board: Board, *, today: date, limit: int, beyond: Place | None = None) -> list[Entry] | None:
        """Up to `limit` places beyond a place; None where the board isn't fresh, or not as deep."""
        rows = await self._ask(self._read, board, today, limit, *((-beyond.key, str(beyond.id)) if beyond else ()))
        if rows is None:
            return None
        first, values = rows[0], rows[1:]
        try:
            return [
                Entry(first + n + 1, -int(values[2 * n + 1]), UUID(values[2 * n].decode()))
                for n in range(len(values) // 2)
            ]
        except ValueError:  # something that we didn't write
            return None

    async def ranks(self, board: Board, *, today: date, idea_ids: Sequence[UUID]) -> dict[UUID, int | None]:
        """The ranks of some ideas, None for those that aren't on the board; without those that Redis can't tell."""
        places = await self._ask(self._ranks, board, today, *map(str, idea_ids))
        if places is None:
            return {}
        told = zip(idea_ids, places[1:], strict=True)
        return {idea_id: place + 1 if place >= 0 else None for idea_id, place in told if place >= 0 or not places[0]}

    async def _ask(
        self, script: AsyncScript, board: Board, today: date, *args: str | int
    ) -> list[Any] | None:  # Any: likewise below
        for _ in range(2):
            generation = self._generations.get(board.municipality_id, "")
            if generation:
                answer: list[Any] | None = await script(  # Any: scripts answer what they like
                    keys=[state_key(board.municipality_id), board_key(board, generation)],
                    args=[generation, str(today), FRESH_MS, batch(board), board_field(board), *args],
                )
                if answer:
                    return answer
            state = await self.state(board.municipality_id)
            if state is None or state.generation == generation:
                return None
        return None

    async def state(self, municipality_id: UUID) -> State | None:
        """None where there is none that makes sense."""
        names = ("generation", "today", "round", "position", "as_of", "filled", "whole", "scoped")
        values = await self.redis.hmget(state_key(municipality_id), names)
        try:
            generation, today, round, *numbers = map(text, values)
            position, as_of, filled, whole, scoped = map(int, numbers)
        except ValueError:
            return None
        self._generations[municipality_id] = generation
        return State(generation, today, position, as_of, round, filled, Depths(whole, scoped))

    async def now(self) -> int:
        """Redis's clock in milliseconds. A cluster's nodes agree well enough."""
        seconds, microseconds = await self.redis.time()
        return seconds * 1000 + microseconds // 1000

    async def begin(self, municipality_id: UUID, state: State) -> None:
        """A new generation, of which no board is held yet, and the end of all others."""
        values: dict[Any, Any] = {  # Any: as redis-py has it
            "generation": state.generation,
            "today": state.today,
            "round": state.round,
            "position": state.position,
            "as_of": state.as_of,
            "filled": state.filled,
            "whole": state.depths.whole,
            "scoped": state.depths.scoped,
        }
        pipe = self.redis.pipeline(transaction=True)
        # Not `unlink`, which a cluster's pipeline doesn't take in. Whatever stands there may be of another type.
        pipe.execute_command("UNLINK", state_key(municipality_id))
        pipe.hset(state_key(municipality_id), mapping=values)
        await pipe.execute()
        self._generations[municipality_id] = state.generation
        # Looked for, not remembered: a state that was lost would leave its boards there for days.
        own = f"{{{municipality_id}}}:board:{state.generation}:"
        keys = self.redis.scan_iter(match=f"{{{municipality_id}}}:board:*", count=CHUNK)
        old = [key async for key in keys if not text(key).startswith(own)]
        for start in range(0, len(old), CHUNK):
            await self.redis.unlink(*old[start : start + CHUNK])

    async def apply(
        self,
        municipality_id: UUID,
        state: State,
        standings: Sequence[Standing],
        *,
        position: int,
        as_of: int,
        staged: Staged | None = None,
        adopt: bool = True,
    ) -> bool:
        """Writes standings, at most CHUNK, read from PostgreSQL since `state` was read from Redis, and publishes which
        ideas they are of. To staged boards too; `adopt` makes these the ones that are read. All or nothing: False where
        the state is another by now, since somebody else wrote.

        That each writer asks PostgreSQL after it saw what the one before wrote is what keeps late ones from going back.
        """
        names = staged.names if staged else {}
        boards = _Keys(municipality_id, state, names)
        ideas = [boards.idea(standing) for standing in standings]
        adopted = [
            (*stage, board_field(board), board_key(board, state.generation))
            for board, stage in (names.items() if adopt else ())
        ]
        next_round = secrets.token_hex(4) if standings or (staged and adopt) else state.round
        filled = state.filled if staged is None or not adopt else max(state.filled, staged.filled)
        changes = {"round": next_round, "position": position, "as_of": as_of, "filled": filled}
        args = {
            "generation": state.generation,
            "today": state.today,
            "round": state.round,
            "next": [text for pair in changes.items() for text in map(str, pair)],
            "boards": boards.sizes,
            "ideas": ideas,
            "adopted": adopted,
            "kept": KEPT_SECONDS,
            "message": orjson.dumps([str(standing.idea_id) for standing in standings]).decode() if standings else "",
            "channel": changes_channel(municipality_id),
        }
        keys = [state_key(municipality_id), *boards.keys, *(key for pair in adopted for key in (pair[1], pair[3]))]
        return bool(await self._apply(keys=keys, args=[orjson.dumps(args)]))

    async def stage(self, state: State, boards: Mapping[Board, Sequence[Entry]]) -> dict[Board, tuple[str, str]]:
        """Puts boards, read whole or one place deeper than kept, where nobody reads them: field and key by board."""
        token = secrets.token_hex(4)
        names: dict[Board, tuple[str, str]] = {}
        for board, entries in boards.items():
            kept = state.depths.kept(board)
            held, floor = entries[:kept], entries[kept - 1] if len(entries) > kept else None
            field, key = f"~{token}:{board_field(board)}", f"{board_key(board, state.generation)}:{token}"
            pipe = self.redis.pipeline(transaction=False)
            for start in range(0, len(held), CHUNK):
                pipe.zadd(key, {str(entry.idea_id): -entry.score for entry in held[start : start + CHUNK]})
            pipe.expire(key, STAGED_SECONDS)
            size = f"{len(held)} {-floor.score} {floor.idea_id}" if floor else str(len(held))
            pipe.hset(state_key(board.municipality_id), field, size)
            await pipe.execute()
            names[board] = (field, key)
        return names

    async def discard(self, municipality_id: UUID, staged: Staged) -> None:
        """Frees boards that were put aside."""
        names = list(staged.names.values())
        for start in range(0, len(names), CHUNK):
            pipe = self.redis.pipeline(transaction=False)
            pipe.hdel(state_key(municipality_id), *(field for field, _ in names[start : start + CHUNK]))
            pipe.execute_command("UNLINK", *(key for _, key in names[start : start + CHUNK]))
            await pipe.execute()

    async def drop(self, board: Board) -> None:
        """Lets a board be read from PostgreSQL until it is read anew."""
        await self.redis.hset(state_key(board.municipality_id), board_field(board), "-")


def text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def shown_on(municipality_id: UUID, standing: Standing, *, at_midnight: bool = False) -> Iterable[tuple[Board, int]]:
    """Every board an idea is on, with its negated score there."""
    for scope in (None, *standing.scope_ids):
        for window, score in standing.scores.items():
            if standing.on(window):
                yield Board(municipality_id, scope, window, at_midnight), -score


class _Keys:
    """The boards that one call of APPLY needs, numbered; a batch that wasn't read yet has none but those staged."""

    def __init__(self, municipality_id: UUID, state: State, staged: Mapping[Board, tuple[str, str]]) -> None:
        self._municipality_id = municipality_id
        self._state = state
        self._staged = staged
        self._of_scope: dict[UUID | None, list[tuple[Window, int]]] = {}
        self.keys: list[str] = []
        self.sizes: list[tuple[str, int, int]] = []  # field, places to keep and at most

    def idea(self, standing: Standing) -> list[object]:
        """One idea's arguments: its id, then a number of a key and the negated score there, False where it is off."""
        on = {window: -score if standing.on(window) else False for window, score in standing.scores.items()}
        args: list[object] = [str(standing.idea_id)]
        for scope in (None, *standing.scope_ids):
            for window, number in self._numbers(scope):
                args += (number, on[window])
        for scope in standing.left_scope_ids:
            for _, number in self._numbers(scope):
                args += (number, False)
        return args

    def _numbers(self, scope: UUID | None) -> list[tuple[Window, int]]:
        found = self._of_scope.get(scope)
        if found is None:
            found = self._of_scope[scope] = []
            for window in Window:
                board = Board(self._municipality_id, scope, window)
                names = [self._staged[board]] if board in self._staged else []
                if batch(board) < self._state.filled:
                    names.append((board_field(board), board_key(board, self._state.generation)))
                for field, key in names:
                    self.keys.append(key)
                    self.sizes.append((field, self._state.depths.kept(board), self._state.depths.most(board)))
                    found.append((window, len(self.keys)))
        return found
