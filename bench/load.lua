-- wrk's script: makes the statements of a lane, judges every answer, prints the figures as one line of JSON.
-- Where rows are changed, a turn advances with its answer, not with its request: what wrk sends twice is the same statement.
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } moment_t; int clock_gettime(int, moment_t *);")
local lanes = {}

-- Seconds by CLOCK_MONOTONIC. wrk's own duration begins when the last of its threads was started: while many are, the
-- first ones answer already.
function now()
  local moment = ffi.new("moment_t")
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.s) + tonumber(moment.ns) / 1e9
end

function setup(thread)
  thread:set("lane", #lanes)
  lanes[#lanes + 1] = thread
end

function init(args)
  plan = dofile(args[1] .. "/shared.lua")
  plan.heads = dofile(args[1] .. "/lane-" .. lane .. ".lua")
  turn, asked, refused, refusal = 0, 0, 0, ""
end

-- The rule of workloads.Plan.statement.
function request()
  began = began or now()
  local callers, subjects = #plan.heads, #plan.bodies
  local step = plan.changes_rows and turn or asked
  asked = asked + 1
  local pass, pair = math.floor(step / (callers * subjects)), step % (callers * subjects)
  local row, caller = math.floor(pair / callers), pair % callers
  local subject = (row + caller * 37 + lane * 13) % subjects
  local body = plan.bodies[subject + 1][pass % 2 + 1]
  return plan.heads[caller + 1] .. "Content-Length: " .. #body .. "\r\n\r\n" .. body
end

function response(status, headers, body)
  ended = now()
  if status == 200 and body:find(plan.good, 1, true) and not body:find('"errors":[{', 1, true) then
    turn = turn + 1
  else
    local from = body:find('"errors":[{', 1, true) or 1
    refused, refusal = refused + 1, status .. " " .. body:sub(from, from + 300)
  end
end

function done(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write
  local first, last = math.huge, 0
  local answered, refused, refusal = {}, broken, broken > 0 and "a connection broke" or ""
  for number, thread in ipairs(lanes) do
    answered[number] = thread:get("turn")
    first, last = math.min(first, thread:get("began") or first), math.max(last, thread:get("ended") or last)
    refused = refused + thread:get("refused")
    if thread:get("refusal") ~= "" then refusal = thread:get("refusal") end
  end
  io.stdout:write(string.format('\n{"answered":[%s],"refused":%d,"refusal":"%s","seconds":%f,"p50":%f,"p95":%f,"p99":%f,"longest":%f}\n',
    table.concat(answered, ","), refused, refusal:gsub("[^%w ,.:_-]", " "), last - first,
    latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
