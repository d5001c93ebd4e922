-- Requests of wrk whose keys follow Zipf's law, as zipf.ts draws them. Arguments: path before the rank, number of
-- keys (0: the path alone), exponent, seed, and a key for the Authorization header (may be missing). Prints the result as one line of JSON after "RESULT ".

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

local head, keys, sum
local tail = " HTTP/1.1\r\nHost: " .. wrk.host .. "\r\n\r\n"
local cumulative = {}
local second, begun = 0, 0
-- Requests begun in each second, separated by spaces. wrk copies texts between threads, and no tables.
seconds = ""
-- The first of them, in seconds since the Unix epoch.
since = 0

function init(args)
  head = "GET " .. args[1]
  keys = tonumber(args[2])
  sum = 0
  for rank = 1, keys do
    sum = sum + rank ^ -tonumber(args[3])
    cumulative[rank] = sum
  end
  math.randomseed(tonumber(args[4]))
  if args[5] then
    tail = " HTTP/1.1\r\nHost: " .. wrk.host .. "\r\nAuthorization: Bearer " .. args[5] .. "\r\n\r\n"
  end
end

local function draw()
  local at = math.random() * sum
  local low, high = 1, keys
  while low < high do
    local middle = math.floor((low + high) / 2)
    if cumulative[middle] < at then low = middle + 1 else high = middle end
  end
  return low - 1
end

function request()
  local now = os.time()
  if now ~= second then
    if second > 0 then seconds = seconds .. begun .. " " else since = now end
    second, begun = now, 0
  end
  begun = begun + 1
  if keys == 0 then return head .. tail end
  return head .. draw() .. tail
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"durationUs":%d,"failed":%d,"p50Us":%d,"p99Us":%d,"since":%d,"seconds":"%s"}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), threads[1]:get("since"), threads[1]:get("seconds")))
end
