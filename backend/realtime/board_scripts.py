"""What Redis does with boards by itself, in Lua: `boards.py` tells what for. Scores are negated."""

# KEYS state board. ARGV generation today fresh_ms batch field ... . Leaves the number of places and the floor, or
# returns nil where the board is not fresh, not held, or not what was written. A batch that was read whole has no board
# but those written down: others of it are empty.
_BELIEVED = """
local state = redis.call('HMGET', KEYS[1], 'generation', 'today', 'as_of', 'filled', ARGV[5])
local now = redis.call('TIME')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2]
  or math.abs(now[1] * 1000 + now[2] / 1000 - state[3]) > tonumber(ARGV[3]) then
  return nil
end
local held = state[5] or (tonumber(state[4]) > tonumber(ARGV[4]) and '0') or '-'
local places, floor = string.match(held, '^(%d+)(.*)$')
if not places or redis.call('ZCARD', KEYS[2]) ~= tonumber(places) then return nil end
"""

# ARGV ... limit [score id]. -> {place of the first, id, score, id, score ...}, or nil: also where deeper than held
READ = (
    _BELIEVED
    + """
local first = 0
if ARGV[7] then
  local low = redis.call('ZCOUNT', KEYS[2], '-inf', '(' .. ARGV[7])
  local high = redis.call('ZCOUNT', KEYS[2], '-inf', ARGV[7])
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call('ZRANGE', KEYS[2], middle, middle)[1] <= ARGV[8] then low = middle + 1 else high = middle end
  end
  first = low
end
if floor ~= '' and first + ARGV[6] > tonumber(places) then return nil end
local entries = redis.call('ZRANGE', KEYS[2], first, first + ARGV[6] - 1, 'WITHSCORES')
table.insert(entries, 1, first)
return entries
"""
)

# ARGV ... id ... . -> {whether the board is cut off, place or -1 of each}, or nil
RANKS = (
    _BELIEVED
    + """
local ranks = {floor ~= '' and 1 or 0}
for n = 6, #ARGV do ranks[#ranks + 1] = redis.call('ZRANK', KEYS[2], ARGV[n]) or -1 end
return ranks
"""
)

# KEYS state, boards ... . ARGV one object:
# generation, today, round: the state that the writer read before it asked PostgreSQL; next: the state's changes
# boards: field, places to keep and places at most, of each key
# ideas: id, then a number of a key and the score (false takes it off) ...
# adopted: field staged, key staged, field, key
# -> 1, or 0 and nothing written where the state is another by now.
APPLY = """
local args = cjson.decode(ARGV[1])
local state = redis.call('HMGET', KEYS[1], 'generation', 'today', 'round')
if state[1] ~= args.generation or state[2] ~= args.today or state[3] ~= args.round then return 0 end
local boards = {}
for n, board in ipairs(args.boards) do
  local places, score, id = string.match(redis.call('HGET', KEYS[1], board[1]) or '0', '^(%d+) ?(%S*) ?(%S*)$')
  boards[n] = {
    key = KEYS[n + 1], field = board[1], keep = board[2], most = board[3], places = tonumber(places or -1),
    score = tonumber(score or ''), id = id
  }
end
for _, idea in ipairs(args.ideas) do
  local id = idea[1]
  for n = 2, #idea, 2 do
    local board, score = boards[idea[n]], idea[n + 1]
    if board.places >= 0 then
      local above = score and (not board.score or score < board.score or score == board.score and id <= board.id)
      local more = above and redis.call('ZADD', board.key, score, id) or -redis.call('ZREM', board.key, id)
      if more ~= 0 and board.places == 0 then redis.call('EXPIRE', board.key, args.kept) end
      board.changed = board.changed or more ~= 0
      board.places = board.places + more
    end
  end
end
for _, board in ipairs(boards) do
  if board.places > board.most then
    redis.call('ZREMRANGEBYRANK', board.key, board.keep, -1)
    board.places = board.keep
    local last = redis.call('ZRANGE', board.key, -1, -1, 'WITHSCORES')
    board.id, board.score = last[1], last[2]
  end
  if board.changed then
    local floor = board.score and ' ' .. board.score .. ' ' .. board.id or ''
    redis.call('HSET', KEYS[1], board.field, board.places .. floor)
  end
end
for _, pair in ipairs(args.adopted) do
  local held = redis.call('HGET', KEYS[1], pair[1]) or '-'
  redis.call('UNLINK', pair[4])
  if redis.call('EXISTS', pair[2]) == 1 then
    redis.call('RENAME', pair[2], pair[4])
    redis.call('EXPIRE', pair[4], args.kept)
  end
  redis.call('HSET', KEYS[1], pair[3], held)
  redis.call('HDEL', KEYS[1], pair[1])
end
redis.call('HSET', KEYS[1], unpack(args.next))
if args.message ~= '' then redis.call('PUBLISH', args.channel, args.message) end
return 1
"""
