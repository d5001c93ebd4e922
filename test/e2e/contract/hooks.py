"""Values that only the running service can give: cursors of its lists, and a token of its clock."""

import ast
import json
import os
import threading
import urllib.parse
import uuid

import schemathesis
from schemathesis import GenerationMode

# Two threads that parse at once may get a SystemError (CPython issue 106905). Hypothesis parses the source of a lambda
# to describe it.
PARSING = threading.RLock()
PARSE = ast.parse


def parse(*args, **kwargs):
    with PARSING:
        return PARSE(*args, **kwargs)


ast.parse = parse

GIVEN = json.loads(os.environ["MILLRACE_CONTRACT"])


@schemathesis.hook
def before_call(context, case, kwargs):
    """A valid request has a cursor of its list, a token that the clock has given, and an idempotency key of its own."""
    # Schemathesis takes the template of a path in an answer (`/v1/customers/{id}/…` of `/v1/models`) for an address.
    for name, value in (case.path_parameters or {}).items():
        if urllib.parse.unquote(str(value)) == "{" + name + "}":
            case.path_parameters[name] = "ada"
    # Tensors fail with 503 after the deadline that their request names, and 5 ms are too few for any model.
    if str((case.headers or {}).get("millrace-deadline-ms", "")).isdecimal():
        case.headers["millrace-deadline-ms"] = longest(case.headers["millrace-deadline-ms"])
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    given = GIVEN["cursors"].get(case.operation.path)
    if given is not None and given["parameter"] in (case.query or {}):
        case.query[given["parameter"]] = given["cursor"]
        # A cursor belongs to the parameters of its list.
        for name, value in given["of"].items():
            place = case.path_parameters if name in (case.path_parameters or {}) else case.query
            place[name] = value
    if "millrace-token" in (case.headers or {}):
        case.headers["millrace-token"] = GIVEN["token"]
    # A generated key is likely to be that of another request, which would be all that the answer says.
    if "idempotency-key" in (case.headers or {}):
        case.headers["idempotency-key"] = str(uuid.uuid4())
    if isinstance(case.body, (dict, list)):
        case.body = storable(case.body)


@schemathesis.hook
def filter_case(context, case):
    """A header that the operation does not name breaks nothing: any client, proxy or browser may add one."""
    return not any(name.lower().startswith("x-schemathesis-unknown") for name in case.headers or {})


def longest(deadline):
    """The longest deadline in place of one that a request may name."""
    return "10000" if 5 <= int(deadline) <= 10_000 else deadline


def storable(value):
    """The value as I-JSON without NUL (RFC 7493): Millrace takes no other JSON, and no schema can say so."""
    if isinstance(value, dict):
        return {storable(name): storable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, int) and abs(value) > 2**53 - 1:
        return 1
    return value
