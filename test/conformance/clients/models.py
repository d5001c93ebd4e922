"""Models that other tools make, each with inputs and the outputs that the tool itself computes for them."""

import warnings

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as LightFloats
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

warnings.filterwarnings("ignore")
ROWS, COLUMNS = 400, 6
OPSET = {"": 17, "ai.onnx.ml": 3}


def data(random):
    x = random.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    return x, x[:, 0] * 2 - x[:, 1] * x[:, 2] + random.normal(size=ROWS).astype(np.float32) * 0.1


def floats():
    return [("input", FloatTensorType([None, COLUMNS]))]


def pipeline(random):
    """scikit-learn: text and numbers in two inputs, text labels."""
    import pandas

    x, y = data(random)
    country = random.choice(["DE", "FR", "Österreich"], size=ROWS)
    labels = np.where(y + (country == "FR") > 0.5, "hoch", "niedrig")
    columns = {"country": country, "amount": x[:, 0], "age": x[:, 1]}
    frame = pandas.DataFrame(columns)
    encode = ColumnTransformer(
        [("text", OneHotEncoder(), ["country"]), ("numbers", StandardScaler(), ["amount", "age"])]
    )
    model = make_pipeline(encode, LogisticRegression()).fit(frame, labels)
    types = [
        ("country", StringTensorType([None, 1])),
        ("amount", FloatTensorType([None, 1])),
        ("age", FloatTensorType([None, 1])),
    ]
    onnx = to_onnx(model, initial_types=types, options={"zipmap": False}, target_opset=OPSET)
    inputs = {name: np.asarray(frame[name])[:50].reshape(-1, 1) for name in columns}
    inputs["country"] = inputs["country"].astype(np.object_)
    some = frame.iloc[:50]
    return onnx, inputs, [model.predict(some).astype(np.object_), model.predict_proba(some)]


def forest(random):
    """scikit-learn: a random forest of three classes."""
    x, y = data(random)
    model = RandomForestClassifier(50, max_depth=6, random_state=0).fit(x, np.digitize(y, [-1, 1]))
    onnx = to_onnx(model, initial_types=floats(), options={"zipmap": False}, target_opset=OPSET)
    return onnx, {"input": x[:50]}, [model.predict(x[:50]), model.predict_proba(x[:50])]


def boosted(random):
    """scikit-learn: boosted trees."""
    x, y = data(random)
    model = GradientBoostingRegressor(n_estimators=60, random_state=0).fit(x, y)
    onnx = to_onnx(model, initial_types=floats(), target_opset=OPSET)
    return onnx, {"input": x[:50]}, [model.predict(x[:50]).reshape(-1, 1)]


def lightgbm(random):
    x, y = data(random)
    model = LGBMRegressor(n_estimators=60, verbose=-1).fit(x, y)
    onnx = convert_lightgbm(
        model, initial_types=[("input", LightFloats([None, COLUMNS]))], target_opset=15
    )
    return onnx, {"input": x[:50]}, [model.predict(x[:50]).reshape(-1, 1)]


def xgboost(random):
    x, y = data(random)
    model = XGBClassifier(n_estimators=40, max_depth=4).fit(x, (y > 0).astype(int))
    onnx = convert_xgboost(
        model, initial_types=[("input", LightFloats([None, COLUMNS]))], target_opset=15
    )
    return onnx, {"input": x[:50]}, [model.predict(x[:50]), model.predict_proba(x[:50])]


def referenced(nodes, weights, inputs, outputs):
    """A network whose outputs ONNX's own evaluator computes."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *value.shape[1:]])
        for name, value in inputs.items()
    ]
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n]) for name, n in outputs]
    graph = helper.make_graph(nodes, "network", values, results, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model, inputs, ReferenceEvaluator(model).run(None, inputs)


def recurrent(random):
    hidden, width, steps = 16, 5, 12
    weights = {
        "w": random.normal(size=(1, 4 * hidden, width)) * 0.3,
        "r": random.normal(size=(1, 4 * hidden, hidden)) * 0.3,
        "dense": random.normal(size=(hidden, 2)),
    }
    nodes = [
        helper.make_node("Transpose", ["input"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "w", "r"], ["", "last"], hidden_size=hidden),
        helper.make_node("Squeeze", ["last", "first"], ["state"]),
        helper.make_node("MatMul", ["state", "dense"], ["output"]),
    ]
    nodes.insert(0, helper.make_node("Constant", [], ["first"], value_ints=[0]))
    inputs = {"input": random.normal(size=(7, steps, width)).astype(np.float32)}
    return referenced(nodes, weights, inputs, [("output", 2)])


def convolutional(random):
    weights = {
        "kernel": random.normal(size=(8, 1, 3, 3)) * 0.3,
        "bias": random.normal(size=8),
        "dense": random.normal(size=(8, 10)),
        "offset": random.normal(size=10),
    }
    nodes = [
        helper.make_node("Conv", ["input", "kernel", "bias"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("MaxPool", ["active"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["pooled"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense", "offset"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["output"], axis=1),
    ]
    inputs = {"input": random.normal(size=(4, 1, 28, 28)).astype(np.float32)}
    return referenced(nodes, weights, inputs, [("output", 10)])


def linear(random):
    """scikit-learn: a linear regression of scaled columns, with missing values imputed."""
    x, y = data(random)
    x[::7, 2] = np.nan
    model = make_pipeline(SimpleImputer(), StandardScaler(), LinearRegression()).fit(x, y)
    onnx = to_onnx(model, initial_types=floats(), target_opset=OPSET)
    return onnx, {"input": x[:50]}, [model.predict(x[:50]).reshape(-1, 1)]


def logistic(random):
    """scikit-learn: three classes by a logistic regression of normalised columns."""
    x, y = data(random)
    model = make_pipeline(Normalizer(), LogisticRegression()).fit(x, np.digitize(y, [-1, 1]))
    onnx = to_onnx(model, initial_types=floats(), options={"zipmap": False}, target_opset=OPSET)
    return onnx, {"input": x[:50]}, [model.predict(x[:50]), model.predict_proba(x[:50])]


def network(random):
    """scikit-learn: a small network of two classes."""
    x, y = data(random)
    model = MLPClassifier(hidden_layer_sizes=[16, 8], max_iter=50, random_state=0).fit(x, (y > 0).astype(int))
    onnx = to_onnx(model, initial_types=floats(), options={"zipmap": False}, target_opset=OPSET)
    return onnx, {"input": x[:50]}, [model.predict(x[:50]), model.predict_proba(x[:50])]


def regressing_network(random):
    """scikit-learn: a small network of one number."""
    x, y = data(random)
    model = MLPRegressor(hidden_layer_sizes=[16], activation="tanh", max_iter=50, random_state=0).fit(x, y)
    onnx = to_onnx(model, initial_types=floats(), target_opset=OPSET)
    return onnx, {"input": x[:50]}, [model.predict(x[:50]).reshape(-1, 1)]


def binary_forest(random):
    """scikit-learn: a random forest of two classes."""
    x, y = data(random)
    model = RandomForestClassifier(30, max_depth=5, random_state=0).fit(x, (y > 0).astype(int))
    onnx = to_onnx(model, initial_types=floats(), options={"zipmap": False}, target_opset=OPSET)
    return onnx, {"input": x[:50]}, [model.predict(x[:50]), model.predict_proba(x[:50])]


def lightgbm_classes(random):
    """LightGBM: three classes, with missing values."""
    x, y = data(random)
    x[::5, 1] = np.nan
    model = LGBMClassifier(n_estimators=20, verbose=-1).fit(x, np.digitize(y, [-1, 1]))
    types = [("input", LightFloats([None, COLUMNS]))]
    onnx = convert_lightgbm(model, initial_types=types, target_opset=15, zipmap=False)
    return onnx, {"input": x[:50]}, [model.predict(x[:50]), model.predict_proba(x[:50])]


def xgboost_regression(random):
    """XGBoost: a regression, with missing values."""
    x, y = data(random)
    x[::5, 1] = np.nan
    model = XGBRegressor(n_estimators=40, max_depth=4).fit(x, y)
    types = [("input", LightFloats([None, COLUMNS]))]
    onnx = convert_xgboost(model, initial_types=types, target_opset=15)
    return onnx, {"input": x[:50]}, [model.predict(x[:50]).reshape(-1, 1)]


# The runtime alone computes these.
NETWORKS = [recurrent, convolutional]
MODELS = [
    *[pipeline, forest, boosted, lightgbm, xgboost, linear, logistic, network, regressing_network],
    *[binary_forest, lightgbm_classes, xgboost_regression, *NETWORKS],
]
