-- Requests of wrk that each read features of some keys. Arguments: path, key, "millrace" or "feast", keys of a request,
-- the names of the features joined by commas, how many keys there are, seed. Prints the result as one line of JSON after
-- "RESULT ".

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

local path, before, after, count, population
local headers = {}
-- The first answer of another status than 200.
refused = ""

function init(args)
  path = args[1]
  headers["content-type"] = "application/json"
  if args[2] ~= "-" then headers["authorization"] = "Bearer " .. args[2] end
  count = tonumber(args[4])
  population = tonumber(args[6])
  math.randomseed(tonumber(args[7]))
  local names = {}
  for name in string.gmatch(args[5], "[^,]+") do
    names[#names + 1] = '"' .. (args[3] == "feast" and "customer:" or "") .. name .. '"'
  end
  local features = '"features":[' .. table.concat(names, ",") .. ']'
  if args[3] == "feast" then
    before = '{' .. features .. ',"entities":{"customer_id":['
    after = ']}}'
  else
    before = '{"entity":"customer",' .. features .. ',"keys":['
    after = ']}'
  end
end

function request()
  -- Keys that follow one another from a random first one: no key is asked for twice in a request.
  local first = math.random(0, population - 1)
  local keys = {}
  for index = 1, count do keys[index] = '"c' .. (first + index) % population .. '"' end
  return wrk.format("POST", path, headers, before .. table.concat(keys, ",") .. after)
end

function response(status, _, body)
  if status ~= 200 and refused == "" then refused = status .. " " .. string.sub(body, 1, 200):gsub('[\\"\n]', " ") end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"durationUs":%d,"failed":%d,"p50Us":%d,"p99Us":%d,"refused":"%s"}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), threads[1]:get("refused")))
end
