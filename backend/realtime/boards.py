"""Leaderboards in Redis: sorted sets that mirror PostgreSQL and say how fresh they are.

Every municipality has one state: the generation its boards belong to, the local day their windows are for, the position
in PostgreSQL's changes up to which they are complete, and when (by Redis's clock) that was so. A board is believed only
while that is less than `FRESH_MS` ago. So an emptied Redis, one that came back with an old snapshot and one whose
projector died all look alike to a reader: not fresh, ask PostgreSQL.

Scores are negated, so that ascending order is the board's: score descending, then id (age) ascending.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

import orjson

from backend.cursors import Place
from backend.db.boards import Board, Entry, Standing, Window
from backend.realtime.redis import Client

FRESH_MS: Final = 3000
KEPT_SECONDS: Final = 2 * 24 * 3600  # generations are daily; older ones vanish by themselves
CHUNK: Final = 1000


def state_key(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:boards"


def board_key(board: Board, generation: str) -> str:
    return f"{{{board.municipality_id}}}:board:{generation}:{board.scope_id or 'all'}:{board.window}"


def placed_key(municipality_id: UUID, generation: str) -> str:
    """Idea to `version scope scope …` as last written: guards against late writers, tells what to take off."""
    return f"{{{municipality_id}}}:placed:{generation}"


def rebuild_key(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:rebuild"


def changes_channel(municipality_id: UUID) -> str:
    return f"{{{municipality_id}}}:changes"


# KEYS state board. ARGV generation today fresh_ms limit [score id].
# -> {place of the first, id, score, id, score ...}, or nil where not fresh
_READ = """
local state = redis.call('HMGET', KEYS[1], 'generation', 'today', 'as_of')
local now = redis.call('TIME')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] or now[1] * 1000 + now[2] / 1000 - state[3] > tonumber(ARGV[3]) then
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
# -> ideas whose record was not the one expected, or nil where nothing could be written on this state.
_APPLY = """
local state = redis.call('HMGET', KEYS[1], 'generation', 'today', 'position')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[5] or tonumber(state[3]) < tonumber(ARGV[2]) then return nil end
local again = {}
local n = 8
while ARGV[n] do
  local id, version, expected, record = ARGV[n], tonumber(ARGV[n + 1]), ARGV[n + 2], ARGV[n + 3]
  local count = tonumber(ARGV[n + 4])
  n = n + 5
  local stands = redis.call('HGET', KEYS[2], id) or ''
  local stands_version = tonumber(string.match(stands, '^%d+') or '0')
  if version > stands_version then
    if stands ~= expected then
      again[#again + 1] = id
    else
      for m = n, n + 2 * count - 2, 2 do
        local key = KEYS[tonumber(ARGV[m])]
        if ARGV[m + 1] == '' then redis.call('ZREM', key, id) else redis.call('ZADD', key, ARGV[m + 1], id) end
      end
      redis.call('HSET', KEYS[2], id, record)
    end
  end
  n = n + 2 * count
end
if #again == 0 and tonumber(ARGV[3]) >= tonumber(state[3]) then
  redis.call('HSET', KEYS[1], 'position', ARGV[3], 'as_of', ARGV[4])
end
if #again == 0 and ARGV[6] ~= '' then redis.call('PUBLISH', ARGV[7], ARGV[6]) end
return again
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
                keys=[state_key(board.municipality_id), board_key(board, generation)],
                args=[generation, str(today), FRESH_MS, limit, *((-beyond.key, str(beyond.id)) if beyond else ())],
            )
            if rows:
                first, values = rows[0], rows[1:]
                return [
                    Entry(first + n + 1, -int(values[2 * n + 1]), UUID(values[2 * n].decode()))
                    for n in range(len(values) // 2)
                ]
            state = await self.state(board.municipality_id)
            if state is None or state.generation == generation:
                return None
        return None

    async def state(self, municipality_id: UUID) -> State | None:
        names = ("generation", "today", "position", "as_of")
        values = await self.redis.hmget(state_key(municipality_id), names)
        if any(value is None for value in values):
            return None
        generation, today, position, as_of = map(_text, values)
        self._generations[municipality_id] = generation
        return State(generation, today, int(position), int(as_of))

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
            waiting = chunk
            while True:
                ids = [str(standing.idea_id) for standing in waiting]
                records = await self.redis.hmget(placed, ids) if ids else []
                keys: dict[str, int] = {}
                args: list[str | int] = []
                for standing, record in zip(waiting, records, strict=True):
                    args += _idea_args(municipality_id, state.generation, standing, _text(record), keys)
                behind = await self._apply(
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
                if behind is None:
                    return False
                if not behind:
                    break
                waiting = [standing for standing in waiting if str(standing.idea_id) in set(map(_text, behind))]
        return True

    async def replace(self, municipality_id: UUID, state: State, standings: Iterable[Standing]) -> None:
        """Fills a new generation with every standing and makes it the one that is read."""
        placed = placed_key(municipality_id, state.generation)
        keys: set[str] = {placed}
        pipe = self.redis.pipeline(transaction=False)
        for n, standing in enumerate(standings, start=1):
            for key, score in _scores(municipality_id, state.generation, standing):
                keys.add(key)
                pipe.zadd(key, {str(standing.idea_id): score})
            pipe.hset(placed, str(standing.idea_id), _record(standing))
            if n % CHUNK == 0:
                await pipe.execute()
        for key in keys:
            pipe.expire(key, KEPT_SECONDS)
        await pipe.execute()
        # Whatever stands there may be of another type.
        pipe = self.redis.pipeline(transaction=True)
        pipe.unlink(state_key(municipality_id))
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

    async def claim_rebuild(self, municipality_id: UUID) -> bool:
        """Whether the caller is the one to rebuild; for a minute at most."""
        return bool(await self.redis.set(rebuild_key(municipality_id), "1", nx=True, px=60_000))

    async def release_rebuild(self, municipality_id: UUID) -> None:
        await self.redis.unlink(rebuild_key(municipality_id))

    async def forget(self, municipality_id: UUID, generation: str, scope_ids: Iterable[UUID]) -> None:
        """Frees a generation that is read no more."""
        boards = (Board(municipality_id, scope, window) for scope in (None, *scope_ids) for window in Window)
        keys = [placed_key(municipality_id, generation), *(board_key(board, generation) for board in boards)]
        for start in range(0, len(keys), CHUNK):
            await self.redis.unlink(*keys[start : start + CHUNK])


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _record(standing: Standing) -> str:
    return " ".join(map(str, (standing.version, *(standing.scope_ids if standing.listed else ()))))


def _scores(municipality_id: UUID, generation: str, standing: Standing) -> Iterable[tuple[str, int]]:
    """Board key and negated score of every board the idea is on."""
    if not standing.listed:
        return
    for scope in (None, *standing.scope_ids):
        for window, score in standing.scores.items():
            if score or window in {Window.ALL_TIME, Window.TRENDING}:
                yield board_key(Board(municipality_id, scope, window), generation), -score


def _idea_args(
    municipality_id: UUID, generation: str, standing: Standing, record: str, keys: dict[str, int]
) -> list[str | int]:
    """One idea's arguments of _APPLY; numbers the keys it needs in `keys`, after the two fixed ones."""
    scores = dict(_scores(municipality_id, generation, standing))
    scopes = {None, *(UUID(scope) for scope in record.split()[1:]), *standing.scope_ids}
    touched = [board_key(Board(municipality_id, scope, window), generation) for scope in scopes for window in Window]
    args: list[str | int] = [str(standing.idea_id), standing.version, record, _record(standing), len(touched)]
    for key in touched:
        args += (keys.setdefault(key, len(keys) + 3), scores.get(key, ""))
    return args
