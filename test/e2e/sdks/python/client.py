"""Sends events with the Python SDK of CloudEvents.

    client.py BASE_URL KEY core|v1 < requests.json

Reads a JSON array of requests (their form: ../client.ts) and sends each one. Writes a line of JSON for each: status and
body of the answer, or the error with which the SDK or the HTTP client refused to send it. `core` is the API of version 2
of the SDK, `v1` the older one that it still contains.
"""

import base64
import http.client
import json
import sys
from datetime import datetime
from urllib.parse import urlsplit

from cloudevents.core.bindings import http as core_http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v03.event import CloudEvent as CoreEvent03
from cloudevents.core.v1.event import CloudEvent as CoreEvent
from cloudevents.v1.conversion import to_binary, to_structured
from cloudevents.v1.http import CloudEvent as V1Event

BATCHED = "application/cloudevents-batch+json"
TIMEOUT_S = 30


def data_of(event):
    data = event.get("data", {})
    if "base64" in data:
        return base64.b64decode(data["base64"])
    return data.get("json", data.get("text"))


def core_event(event):
    """Attributes have Python's own types; bytes are the base64 text that the type system prescribes."""
    attributes = dict(event["attributes"])
    if "time" in attributes:
        attributes["time"] = datetime.fromisoformat(attributes["time"])
    for name, extension in event.get("extensions", {}).items():
        is_time = extension["type"] == "timestamp"
        value = extension["value"]
        attributes[name] = datetime.fromisoformat(value) if is_time else value
    is_old = attributes.get("specversion") == "0.3"
    return (CoreEvent03 if is_old else CoreEvent)(attributes, data_of(event))


def core_message(mode, events):
    """Headers and body; a batch is an array of events in the JSON format, for which the SDK has no function."""
    if mode == "batch":
        bodies = [JSONFormat().write(event) for event in events]
        return {"content-type": BATCHED}, b"[" + b",".join(bodies) + b"]"
    to_message = core_http.to_binary_event if mode == "binary" else core_http.to_structured_event
    message = to_message(events[0])
    return message.headers, message.body


def v1_event(event):
    extensions = {name: extension["value"] for name, extension in event.get("extensions", {}).items()}
    return V1Event({**event["attributes"], **extensions}, data_of(event))


def v1_message(mode, events):
    if mode == "batch":
        bodies = [to_structured(event)[1] for event in events]
        return {"content-type": BATCHED}, b"[" + b",".join(bodies) + b"]"
    headers, body = (to_binary if mode == "binary" else to_structured)(events[0])
    return headers, body or b""


APIS = {"core": (core_event, core_message), "v1": (v1_event, v1_message)}


def send(connection, key, headers, body):
    connection.putrequest("POST", "/v1/events")
    own = {"Authorization": f"Bearer {key}", "Prefer": "wait", "Content-Length": len(body)}
    for name, value in {**headers, **own}.items():
        connection.putheader(name, str(value))
    connection.endheaders(body)
    response = connection.getresponse()
    return {"status": response.status, "body": json.loads(response.read())}


def main(base_url, key, api):
    to_event, to_message = APIS[api]
    for request in json.load(sys.stdin):
        connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=TIMEOUT_S)
        try:
            events = [to_event(event) for event in request["events"]]
            answer = send(connection, key, *to_message(request["mode"], events))
        except Exception as error:  # Whatever the SDK raises is an outcome that the test judges.
            answer = {"error": f"{type(error).__name__}: {error}"}
        finally:
            connection.close()
        print(json.dumps(answer), flush=True)


main(*sys.argv[1:])
