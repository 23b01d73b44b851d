-- POST bodies with a fresh seed each, and what was seen as one line of JSON on stderr.
-- wrk ... -- COUNT FIRST_SEED CLIENTS

local ffi = require("ffi")
ffi.cdef [[
typedef struct { long seconds; long microseconds; } timeval;
int gettimeofday(timeval *now, void *zone);
]]
local moment = ffi.new("timeval")
local headers = { ["Content-Type"] = "application/json", ["Accept"] = "application/x-npy" }

local threads = {}

local function now()
  ffi.C.gettimeofday(moment, nil)
  return tonumber(moment.seconds) + tonumber(moment.microseconds) / 1e6
end

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  count, seed, clients = arguments[1], tonumber(arguments[2]), tonumber(arguments[3])
  asked, first, last = -1, 0, 0 -- wrk calls request once before it begins
end

function request()
  seed, asked, last = seed + 1, asked + 1, now()
  if asked <= 1 then first = last end
  return wrk.format("POST", nil, headers, string.format('{"seed": %d, "count": %s}', seed, count))
end

-- A client asks again when it has been answered. So the replies until the last request are counted, over the time until
-- then: over the whole time, those under way at its end would be missing, a twentieth of all where replies are large.
function done(summary, latency)
  local errors, thread = summary.errors, threads[1]
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local form = '{"replies": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "bytes": %.0f, "requests": %d, "failed": %d}\n'
  io.stderr:write(string.format(form,
    thread:get("asked") - thread:get("clients"), thread:get("last") - thread:get("first"),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.bytes, summary.requests, failed))
end
