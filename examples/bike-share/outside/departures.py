"""Makes the model "departures-tomorrow" outside Millrace: a scaler and a linear regression, as scikit-learn's exporter
(skl2onnx) writes a pipeline of the two. It needs `pip install onnx`, which brings numpy.

    python3 examples/bike-share/outside/departures.py OUT_FOLDER
    npm run bundle -- departures-tomorrow --onnx OUT_FOLDER/model.onnx --golden OUT_FOLDER/golden.json \
        --out examples/bike-share/models/departures-tomorrow

The data are made up from a seed, so the same versions of onnx and numpy write the same file.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

COLUMNS = ["departures_1d", "departures_7d", "arrivals_1d", "arrivals_7d"]
STATIONS = 60
DAYS = 120
SEED = 11
GOLDEN_ROWS = 6
# Of floats: absolute up to 1, relative above.
TOLERANCE = 1e-4


def made_up_rows(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One row for each station and day: the last day, the last seven days, and what the next day brought."""
    weekday = np.array([0.7, 1.1, 1.15, 1.1, 1.1, 1.2, 0.85])
    busyness = random.gamma(4.0, 3.0, STATIONS)
    days = np.arange(DAYS)
    expected = busyness[:, None] * weekday[days % 7][None, :]
    departures = random.poisson(expected)
    arrivals = random.poisson(expected * random.uniform(0.9, 1.1, STATIONS)[:, None])
    rows, targets = [], []
    for day in range(7, DAYS - 1):
        week = slice(day - 6, day + 1)
        rows.append(
            np.stack(
                [
                    departures[:, day],
                    departures[:, week].sum(axis=1),
                    arrivals[:, day],
                    arrivals[:, week].sum(axis=1),
                ],
                axis=1,
            )
        )
        targets.append(departures[:, day + 1])
    return np.concatenate(rows).astype(np.float64), np.concatenate(targets).astype(np.float64)


def fit(rows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Least squares on standardised columns, as StandardScaler and LinearRegression do."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    scaled = (rows - mean) / deviation
    design = np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)
    solution, *_ = np.linalg.lstsq(design, targets, rcond=None)
    return mean, 1.0 / deviation, solution[:-1], float(solution[-1])


def write_model(mean, scale, coefficients, intercept) -> onnx.ModelProto:
    nodes = [
        helper.make_node(
            "Scaler",
            ["X"],
            ["scaled"],
            domain="ai.onnx.ml",
            offset=[float(value) for value in mean],
            scale=[float(value) for value in scale],
        ),
        helper.make_node(
            "LinearRegressor",
            ["scaled"],
            ["variable"],
            domain="ai.onnx.ml",
            coefficients=[float(value) for value in coefficients],
            intercepts=[intercept],
            targets=1,
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "departures",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, len(COLUMNS)])],
        [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])],
    )
    model = helper.make_model(
        graph,
        producer_name="departures.py",
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)],
    )
    helper.set_model_props(model, {"columns": ",".join(COLUMNS)})
    onnx.checker.check_model(model)
    return model


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(SEED)
    rows, targets = made_up_rows(random)
    parameters = fit(rows, targets)
    model = write_model(*parameters)
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))

    golden = rows[random.choice(len(rows), GOLDEN_ROWS, replace=False)].astype(np.float32)
    (predicted,) = ReferenceEvaluator(model).run(None, {"X": golden})
    (folder / "golden.json").write_text(
        json.dumps(
            {
                "inputs": {"X": golden.tolist()},
                "outputs": {"variable": predicted.tolist()},
                "tolerance": TOLERANCE,
            }
        )
    )
    mean, scale, coefficients, intercept = parameters
    everything = ((rows - mean) * scale) @ coefficients + intercept
    mistake = float(np.abs(everything - targets).mean())
    baseline = float(np.abs(targets - targets.mean()).mean())
    print(f"{len(rows)} rows, mean absolute error {mistake:.2f}; the mean alone has {baseline:.2f}")


if __name__ == "__main__":
    main()
