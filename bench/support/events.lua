-- Requests of wrk that each send one event, as a structured CloudEvent. Arguments: path, key, "wait" or "-", a prefix
-- that makes the ids of a run unique. Prints the result as one line of JSON after "RESULT ".

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

local path, prefix
local headers = {}
local sent = 0
-- The first answer of another status than 200, 201 and 202.
refused = ""

function init(args)
  path = args[1]
  headers["authorization"] = "Bearer " .. args[2]
  headers["content-type"] = "application/cloudevents+json"
  if args[3] == "wait" then headers["prefer"] = "wait" end
  prefix = args[4]
end

function request()
  sent = sent + 1
  local id = prefix .. "-" .. sent
  local body = string.format(
    '{"specversion":"1.0","id":"%s","source":"/bench","type":"shop.purchase.v1","time":"2026-11-01T10:00:00Z",' ..
    '"data":{"invoice":"I%d","sku":"S%d","quantity":1,"unitPrice":2.55,"customerId":"c%d","country":"Norway"}}',
    id, sent, sent % 1000, sent % 777)
  return wrk.format("POST", path, headers, body)
end

function response(status, _, body)
  if status > 202 and refused == "" then refused = status .. " " .. string.sub(body, 1, 200):gsub('[\\"\n]', " ") end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"durationUs":%d,"failed":%d,"p50Us":%d,"p99Us":%d,"refused":"%s"}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), threads[1]:get("refused")))
end
