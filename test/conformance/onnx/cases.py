"""Asks a server by the Open Inference Protocol for every case of the ONNX backend node tests.

Usage: cases.py URL [--part N/M] [NAME...]

Each case is registered by PUT /models/NAME and asked with tritonclient, its inputs and outputs as binary data. Its
verdict is one line of JSON on the standard output: right, rounded, refused (at registration), failed (registered, and
then an error) or wrong. Right is what ONNX's own runner accepts. It compares each element with a tolerance of its own,
so that the rounding of a sum fails where 0 is expected; rounded is what differs by at most eight steps of the float
type at the greatest magnitude of the case's inputs and outputs.
"""

import json
import sys
import urllib.request
import warnings
from collections import Counter
from urllib.parse import unquote, urlparse

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

warnings.filterwarnings("ignore")
from onnx import TensorProto, numpy_helper  # noqa: E402
from onnx.backend.test.case.node import collect_testcases  # noqa: E402
from onnx.backend.test.runner import Runner  # noqa: E402


class Refused(Exception):
    pass


def array(value):
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value)


def register(url, case):
    request = urllib.request.Request(
        f"{url}/models/{case.name}", data=case.model.SerializeToString(), method="PUT"
    )
    try:
        with urllib.request.urlopen(request) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        body = json.loads(error.read())
        raise Refused(body.get("detail"), unquote(error.headers.get("x-reason", "")), error.code) from error


def release(url, case):
    urllib.request.urlopen(urllib.request.Request(f"{url}/models/{case.name}", method="DELETE")).close()


def ask(client, case, signature, inputs):
    sent = []
    names = [given.name for given in case.model.graph.input]
    types = {given["name"]: given["datatype"] for given in signature["inputs"]}
    for name, value in zip(names, inputs):
        # numpy makes scalars of arrays without dimensions, and int64 of Python's integers.
        value = array(value)
        datatype = np_to_triton_dtype(value.dtype) if value.dtype.kind not in "US" else "BYTES"
        if value.dtype.kind in "US":
            value = value.astype(np.object_)
        tensor = triton.InferInput(name, list(value.shape), types.get(name, datatype))
        tensor.set_data_from_numpy(value)
        sent.append(tensor)
    result = client.infer(case.name, sent)
    outputs = []
    for output in case.model.graph.output:
        if not output.name:
            continue
        value = result.as_numpy(output.name)
        if value.dtype == np.object_:
            value = np.array([text.decode() for text in value.ravel()], dtype=np.object_).reshape(value.shape)
        outputs.append(value)
    return outputs


def is_rounded(reference, output, magnitude):
    if reference.dtype != output.dtype or reference.shape != output.shape:
        return False
    if reference.dtype.kind != "f" or not np.isfinite(reference).all():
        return bool(np.array_equal(reference, output))
    difference = np.abs(reference.astype(np.float64) - output.astype(np.float64)).max(initial=0)
    return bool(difference <= 8 * np.finfo(reference.dtype).eps * magnitude)


def judge(url, client, case):
    try:
        signature = register(url, case)
    except Refused as refusal:
        detail, reason, status = refusal.args
        return {"verdict": "refused" if status == 422 else "failed", "detail": detail, "reason": reason}
    try:
        verdict = "right"
        not_evaluated = signature.get("notEvaluated")
        for inputs, expected in case.data_sets:
            references = [array(value) for value in expected]
            references = [r.astype(np.object_) if r.dtype.kind in "US" else r for r in references]
            outputs = ask(client, case, signature, inputs)
            try:
                Runner.assert_similar_outputs(references, outputs, case.rtol, case.atol)
            except AssertionError:
                floats = [v for v in [*map(array, inputs), *references] if v.dtype.kind == "f"]
                magnitude = max(float(np.abs(value).max(initial=0)) for value in floats)
                if not all(is_rounded(*pair, magnitude) for pair in zip(references, outputs, strict=True)):
                    raise
                verdict = "rounded"
        return {"verdict": verdict, "notEvaluated": not_evaluated}
    except InferenceServerException as error:
        return {"verdict": "failed", "detail": f"{error.status()}: {error.message()}"}
    except AssertionError as error:
        return {"verdict": "wrong", "detail": " ".join(str(error).split())[:600]}
    finally:
        release(url, case)


def main(url, *arguments):
    arguments = list(arguments)
    part = (0, 1)
    if "--part" in arguments:
        at = arguments.index("--part")
        number, of = arguments[at + 1].split("/")
        part = (int(number) - 1, int(of))
        del arguments[at : at + 2]
    cases = sorted(collect_testcases(None), key=lambda case: case.name)
    cases = [case for case in cases if not arguments or case.name in arguments]
    client = triton.InferenceServerClient(urlparse(url).netloc, network_timeout=60)
    verdicts = Counter()
    for index, case in enumerate(cases):
        if index % part[1] != part[0]:
            continue
        operators = sorted({node.domain + ":" + node.op_type for node in case.model.graph.node})
        line = {"name": case.name, "operators": operators, **judge(url, client, case)}
        verdicts[line["verdict"]] += 1
        print(json.dumps(line), flush=True)
    print(json.dumps({"verdicts": verdicts, "cases": sum(verdicts.values())}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
