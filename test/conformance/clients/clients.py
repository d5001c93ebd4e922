"""Asks a server by tritonclient for models that other tools made, and for elements of every type.

Usage: clients.py URL

Prints one line of JSON for each check; ends with 1 if one fails.
"""

import json
import sys
import traceback
import urllib.request
from itertools import product
from urllib.parse import urlparse

import numpy as np
import tritonclient.http as triton
from models import MODELS, NETWORKS
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException, np_to_triton_dtype


def register(url, name, model):
    request = urllib.request.Request(f"{url}/models/{name}", data=model.SerializeToString(), method="PUT")
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def infer(client, name, inputs, names=(), is_binary=True, compression=None, **more):
    sent = []
    for key, value in inputs.items():
        tensor = triton.InferInput(key, list(value.shape), np_to_triton_dtype(value.dtype))
        tensor.set_data_from_numpy(value, binary_data=is_binary)
        sent.append(tensor)
    wanted = [triton.InferRequestedOutput(key, binary_data=is_binary) for key in names] or None
    return client.infer(
        name,
        sent,
        outputs=wanted,
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
        **more,
    )


def text(value):
    return value if isinstance(value, str) else value.decode()


def assert_same(expected, actual):
    if expected.dtype == np.object_:
        assert [text(value) for value in actual.ravel()] == list(expected.ravel())
    elif expected.dtype.kind in "iu":
        np.testing.assert_array_equal(actual.ravel(), expected.ravel())
    else:
        np.testing.assert_allclose(actual.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


def check_model(url, client, make):
    name = make.__name__
    model, inputs, expected = make(np.random.default_rng(7))
    # The server compares each run of a graph that its evaluator computes with the runtime's.
    reason = register(url, name, model).get("notEvaluated")
    assert (reason is None) == (make not in NETWORKS), reason
    assert client.is_model_ready(name)
    metadata = client.get_model_metadata(name)
    assert [given["name"] for given in metadata["inputs"]] == list(inputs)
    assert all(given["shape"][0] == -1 for given in metadata["inputs"])
    outputs = [given["name"] for given in metadata["outputs"]]
    (version,) = metadata["versions"]
    assert client.get_model_metadata(name, version) == metadata
    # JSON has no numbers that are not finite.
    has_missing = any(value.dtype.kind == "f" and np.isnan(value).any() for value in inputs.values())
    for is_binary, compression in product([True] if has_missing else [True, False], [None, "gzip"]):
        result = infer(client, name, inputs, outputs, is_binary, compression, model_version=version)
        for output, value in zip(outputs, expected, strict=True):
            assert_same(np.asarray(value), result.as_numpy(output))
    # Without named outputs the client asks for all of them as binary data.
    result = infer(client, name, inputs, request_id="q-1")
    assert result.get_response()["id"] == "q-1"
    assert_same(np.asarray(expected[0]), result.as_numpy(outputs[0]))


TYPES = {
    np.bool_: [True, False],
    np.int8: [-128, 127],
    np.int16: [-(2**15), 2**15 - 1],
    np.int32: [-(2**31), 2**31 - 1],
    np.int64: [-(2**63), 2**53 + 1],
    np.uint8: [0, 255],
    np.uint16: [0, 2**16 - 1],
    np.uint32: [0, 2**32 - 1],
    np.uint64: [2**53 + 1, 2**64 - 1],
    np.float16: [6e-8, -65504],
    np.float32: [0.1, -3.4e38],
    np.float64: [0.1, 5e-324],
    np.object_: ["", "Grüße 🚲"],
}


def echo():
    nodes, inputs, outputs = [], [], []
    for dtype in TYPES:
        name = np.dtype(dtype).name
        number = TensorProto.STRING if dtype is np.object_ else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        nodes.append(helper.make_node("Identity", [name], [f"{name}_out"]))
        inputs.append(helper.make_tensor_value_info(name, number, ["rows", None]))
        outputs.append(helper.make_tensor_value_info(f"{name}_out", number, ["rows", None]))
    graph = helper.make_graph(nodes, "echo", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def check_types(url, client):
    register(url, "echo", echo())
    inputs = {np.dtype(dtype).name: np.array([values], dtype=dtype) for dtype, values in TYPES.items()}
    empty = {name: value[:0] for name, value in inputs.items()}
    for given, is_binary in product([inputs, empty], [True, False]):
        result = infer(client, "echo", given, [f"{name}_out" for name in given], is_binary)
        for name, value in given.items():
            actual = result.as_numpy(f"{name}_out")
            assert actual.shape == value.shape
            if name == "object":
                assert [text(one) for one in actual.ravel()] == list(value.ravel())
            else:
                assert actual.dtype == value.dtype
                np.testing.assert_array_equal(actual, value)


def check_floats(url, client):
    """Values that are not finite are exact as binary data, and an error in JSON."""
    register(url, "echo", echo())
    inputs = {np.dtype(dtype).name: np.array([values], dtype=dtype) for dtype, values in TYPES.items()}
    for name in ["float16", "float32", "float64"]:
        given = {**inputs, name: np.array([[np.nan, -np.inf]], dtype=name)}
        np.testing.assert_array_equal(infer(client, "echo", given).as_numpy(f"{name}_out"), given[name])
        sent = []
        for key, value in given.items():
            sent.append(triton.InferInput(key, list(value.shape), np_to_triton_dtype(value.dtype)))
            sent[-1].set_data_from_numpy(value)
        refused("finite numbers only", lambda: client.infer(
            "echo", sent, outputs=[triton.InferRequestedOutput(f"{name}_out", binary_data=False)]
        ))


def refused(message, call):
    try:
        call()
    except InferenceServerException as error:
        assert message in error.message(), error.message()
        return
    raise AssertionError(f"nothing was refused with {message!r}")


def check_server(url, client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    register(url, "echo", echo())
    rows = {"int64": np.zeros((1, 2), np.int64)}
    refused('declares no model "none"', lambda: client.get_model_metadata("none"))
    refused('does not serve the version "9"', lambda: client.get_model_metadata("echo", "9"))
    refused('The input "bool" is missing', lambda: infer(client, "echo", rows))
    refused("sequence_id", lambda: infer(client, "echo", rows, sequence_id=7, sequence_start=True))
    assert not client.is_model_ready("none")


def main(url):
    client = triton.InferenceServerClient(urlparse(url).netloc, network_timeout=60)
    checks = [(make.__name__, lambda make=make: check_model(url, client, make)) for make in MODELS]
    checks += [(check.__name__, lambda check=check: check(url, client)) for check in [check_types, check_floats, check_server]]
    failed = 0
    for name, check in checks:
        try:
            check()
            print(json.dumps({"check": name, "ok": True}), flush=True)
        except Exception:
            failed += 1
            print(json.dumps({"check": name, "ok": False, "error": traceback.format_exc()[-1500:]}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
