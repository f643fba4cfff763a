"""Leaderboards in Redis: sorted sets that mirror PostgreSQL and say how fresh they are.

Every municipality has one state: the generation its boards belong to, the local day their windows are for, the position
in PostgreSQL's changes up to which they are complete, and when (by Redis's clock) that was so. A board is believed only
while that is less than `FRESH_MS` ago. So an emptied Redis, one that came back with an old snapshot and one whose
projector died all look alike to a reader: not fresh, ask PostgreSQL. So does a board with more or fewer members than
were put there; what else others may have written into Redis, `audit.py` finds.

Scores are negated, so that ascending order is the board's: score descending, then id (age) ascending.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Final, TypeVar
from uuid import UUID

import orjson

from backend.cursors import Place
from backend.db.boards import Board, Entry, Standing, Window
from backend.realtime.redis import Client

FRESH_MS: Final = 3000
KEPT_SECONDS: Final = 2 * 24 * 3600  # generations are daily; older ones vanish by themselves
CHUNK: Final = 1000
Value = TypeVar("Value")


def state_key(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:boards"


def board_key(board: Board, generation: str) -> str:
    return f"{{{board.municipality_id}}}:board:{generation}:{board.scope_id or 'all'}:{board.window}"


def placed_key(municipality_id: UUID, generation: str) -> str:
    """Idea to `version scope scope …` as last written: guards against late writers, tells what to take off. And board
    key to the number of members it was given."""
    return f"{{{municipality_id}}}:placed:{generation}"


def rebuild_key(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:rebuild"


def changes_channel(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:changes"


# KEYS state board placed. ARGV generation today fresh_ms limit [score id].
# -> {place of the first, id, score, id, score ...}, or nil where not fresh, or not what was written
_READ = """
local state = redis.call('HMGET', KEYS[1], 'generation', 'today', 'as_of')
local now = redis.call('TIME')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2]
  or math.abs(now[1] * 1000 + now[2] / 1000 - state[3]) > tonumber(ARGV[3])
  or redis.call('ZCARD', KEYS[2]) ~= tonumber(redis.call('HGET', KEYS[3], KEYS[2]) or '0') then
  return nil
end
local first = 0
if ARGV[5] then
  local low = redis.call('ZCOUNT', KEYS[2], '-inf', '(' .. ARGV[5])
  local high = redis.call('ZCOUNT', KEYS[2], '-inf', ARGV[5])
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call('ZRANGE', KEYS[2], middle, middle)[1] <= ARGV[6] then low = middle + 1 else high = middle end
  end
  first = low
end
local entries = redis.call('ZRANGE', KEYS[2], first, first + ARGV[4] - 1, 'WITHSCORES')
table.insert(entries, 1, first)
return entries
"""

# KEYS state placed board ... . ARGV generation since position as_of today message channel, then for each idea:
# id, version, record expected, new record, n, and n times key number and score ('' takes it off).
# -> 1 when all is written, 0 and nothing written where a record was not the one expected, or nil where nothing could be
# written on this state. All or nothing: a reader between two parts would see a board that never was.
_APPLY = """
local state = redis.call('HMGET', KEYS[1], 'generation', 'today', 'position')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[5] or tonumber(state[3]) < tonumber(ARGV[2]) then return nil end
local newer = {}
local n = 8
while ARGV[n] do
  local version, expected = tonumber(ARGV[n + 1]), ARGV[n + 2]
  local stands = redis.call('HGET', KEYS[2], ARGV[n]) or ''
  local stands_version = tonumber(string.match(stands, '^%d+') or '0')
  if version > stands_version then
    if stands ~= expected then return 0 end
    newer[#newer + 1] = n
  end
  n = n + 5 + 2 * ARGV[n + 4]
end
for _, n in ipairs(newer) do
  local id = ARGV[n]
  for m = n + 5, n + 3 + 2 * ARGV[n + 4], 2 do
    local key, score = KEYS[tonumber(ARGV[m])], ARGV[m + 1]
    local more = score == '' and -redis.call('ZREM', key, id) or redis.call('ZADD', key, score, id)
    if more ~= 0 then redis.call('HINCRBY', KEYS[2], key, more) end
  end
  redis.call('HSET', KEYS[2], id, ARGV[n + 3])
end
if tonumber(ARGV[3]) >= tonumber(state[3]) then
  redis.call('HSET', KEYS[1], 'position', ARGV[3], 'as_of', ARGV[4])
end
if ARGV[6] ~= '' then redis.call('PUBLISH', ARGV[7], ARGV[6]) end
return 1
"""


@dataclass(frozen=True, slots=True)
class State:
    generation: str
    today: str
    position: int
    as_of: int


class Boards:
    """Reads and writes boards. Raises one of REDIS_FAILURES where Redis fails; the caller then asks PostgreSQL."""

    def __init__(self, redis: Client) -> None:
        self.redis = redis
        self._read = redis.register_script(_READ)
        self._apply = redis.register_script(_APPLY)
        self._generations: dict[UUID, str] = {}

    async def page(self, board: Board, *, today: date, limit: int, beyond: Place | None = None) -> list[Entry] | None:
        """Up to `limit` places beyond a place; None where the board isn't fresh."""
        for _ in range(2):
            generation = self._generations.get(board.municipality_id, "")
            rows = generation and await self._read(
                keys=[
                    state_key(board.municipality_id),
                    board_key(board, generation),
                    placed_key(board.municipality_id, generation),
                ],
                args=[generation, str(today), FRESH_MS, limit, *((-beyond.key, str(beyond.id)) if beyond else ())],
            )
            if rows:
                first, values = rows[0], rows[1:]
                try:
                    return [
                        Entry(first + n + 1, -int(values[2 * n + 1]), UUID(values[2 * n].decode()))
                        for n in range(len(values) // 2)
                    ]
                except ValueError:  # something that we didn't write
                    return None
            state = await self.state(board.municipality_id)
            if state is None or state.generation == generation:
                return None
        return None

    async def state(self, municipality_id: UUID) -> State | None:
        """None where there is none that makes sense."""
        names = ("generation", "today", "position", "as_of")
        values = await self.redis.hmget(state_key(municipality_id), names)
        generation, today, position, as_of = map(text, values)
        try:
            state = State(generation, today, int(position), int(as_of))
        except ValueError:
            return None
        self._generations[municipality_id] = generation
        return state

    def generation(self, municipality_id: UUID) -> str | None:
        """The generation last seen."""
        return self._generations.get(municipality_id)

    async def now(self) -> int:
        """Redis's clock in milliseconds. A cluster's nodes agree well enough."""
        seconds, microseconds = await self.redis.time()
        return seconds * 1000 + microseconds // 1000

    async def apply(
        self, municipality_id: UUID, state: State, standings: Sequence[Standing], *, position: int, as_of: int
    ) -> bool:
        """Writes standings read since `state` and publishes which ideas they are of. False where nothing could be
        written, since the state is another by now."""
        placed = placed_key(municipality_id, state.generation)
        chunks = [standings[start : start + CHUNK] for start in range(0, len(standings), CHUNK)] or [()]
        for chunk in chunks:
            reached = (position, as_of) if chunk is chunks[-1] else (state.position, state.as_of)
            message = orjson.dumps([str(standing.idea_id) for standing in chunk]) if chunk else b""
            ids = [str(standing.idea_id) for standing in chunk]
            written = 0
            while not written:
                records = await self.redis.hmget(placed, ids) if ids else []
                keys: dict[str, int] = {}
                args: list[str | int] = []
                for standing, record in zip(chunk, records, strict=True):
                    args += _idea_args(municipality_id, state.generation, standing, text(record), keys)
                written = await self._apply(
                    keys=[state_key(municipality_id), placed, *keys],
                    args=[
                        state.generation,
                        state.position,
                        *reached,
                        state.today,
                        message,
                        changes_channel(municipality_id),
                        *args,
                    ],
                )
                if written is None:
                    return False
        return True

    async def replace(self, municipality_id: UUID, state: State, standings: Iterable[Standing]) -> None:
        """Fills a new generation with every standing and makes it the one that is read."""
        placed = placed_key(municipality_id, state.generation)
        members: defaultdict[str, dict[str, int]] = defaultdict(dict)
        records: dict[str, str] = {}
        for standing in standings:
            idea_id = str(standing.idea_id)
            records[idea_id] = placed_record(standing)
            for key, score in scores(municipality_id, state.generation, standing):
                members[key][idea_id] = score
        for key, places in members.items():
            for chunk in _chunks(places):
                await self.redis.zadd(key, dict(chunk))
            await self.redis.expire(key, KEPT_SECONDS)
        for facts in _chunks(records):
            await self.redis.hset(placed, mapping=dict(facts))
        await self.redis.expire(placed, KEPT_SECONDS)
        # The sizes with the state, or a board emptied in between would be believed.
        pipe = self.redis.pipeline(transaction=True)
        for sizes in _chunks({key: str(len(places)) for key, places in members.items()}):
            pipe.hset(placed, mapping=dict(sizes))
        pipe.unlink(state_key(municipality_id))  # whatever stands there may be of another type
        pipe.hset(
            state_key(municipality_id),
            mapping={
                "generation": state.generation,
                "today": state.today,
                "position": state.position,
                "as_of": state.as_of,
            },
        )
        await pipe.execute()
        self._generations[municipality_id] = state.generation

    async def forget(self, municipality_id: UUID, generation: str, scope_ids: Iterable[UUID]) -> None:
        """Frees a generation that is read no more."""
        boards = (Board(municipality_id, scope, window) for scope in (None, *scope_ids) for window in Window)
        keys = [placed_key(municipality_id, generation), *(board_key(board, generation) for board in boards)]
        for start in range(0, len(keys), CHUNK):
            await self.redis.unlink(*keys[start : start + CHUNK])


def _chunks(items: Mapping[str, Value]) -> Iterator[list[tuple[str, Value]]]:
    """In pieces that Redis takes quickly, so that readers needn't wait long between two."""
    rest = iter(items.items())
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def placed_record(standing: Standing) -> str:
    """What `placed` holds of an idea."""
    return " ".join(map(str, (standing.version, *(standing.scope_ids if standing.listed else ()))))


def scores(municipality_id: UUID, generation: str, standing: Standing) -> Iterable[tuple[str, int]]:
    """Board key and negated score of every board the idea is on."""
    if not standing.listed:
        return
    for scope in (None, *standing.scope_ids):
        for window, score in standing.scores.items():
            if score or window in {Window.ALL_TIME, Window.TRENDING}:
                yield board_key(Board(municipality_id, scope, window), generation), -score


def _idea_args(
    municipality_id: UUID, generation: str, standing: Standing, expected: str, keys: dict[str, int]
) -> list[str | int]:
    """One idea's arguments of _APPLY; numbers the keys it needs in `keys`, after the two fixed ones."""
    new = dict(scores(municipality_id, generation, standing))
    scopes = {None, *(UUID(scope) for scope in expected.split()[1:]), *standing.scope_ids}
    touched = [board_key(Board(municipality_id, scope, window), generation) for scope in scopes for window in Window]
    args: list[str | int] = [str(standing.idea_id), standing.version, expected, placed_record(standing), len(touched)]
    for key in touched:
        args += (keys.setdefault(key, len(keys) + 3), new.get(key, ""))
    return args
