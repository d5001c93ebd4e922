"""Values that only the running service can give: cursors of its lists, and a token of its clock."""

import json
import os

import schemathesis
from schemathesis import GenerationMode

GIVEN = json.loads(os.environ["MILLRACE_CONTRACT"])


@schemathesis.hook
def before_call(context, case, kwargs):
    """A valid request has a cursor of its list, and a token that the clock has given."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    for name, cursor in GIVEN["cursors"].get(case.operation.path, {}).items():
        if name in (case.query or {}):
            case.query[name] = cursor
    if "millrace-token" in (case.headers or {}):
        case.headers["millrace-token"] = GIVEN["token"]
