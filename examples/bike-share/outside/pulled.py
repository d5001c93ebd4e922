"""What the trainers of this folder share: a dataset that `npm run cli -- datasets pull` wrote, and the files that
`npm run bundle` takes.

    folder = Pulled(path)
    x, y = folder.rows("train")
    write(out, onnx_model, folder, predict)
"""

import argparse
import json
import pathlib
from collections.abc import Callable

import numpy as np
import onnx
import pandas

# The names that the catalog declares for the graph's input and output.
INPUT, OUTPUT = "X", "variable"
OPSET = {"": 17, "ai.onnx.ml": 3}
GOLDEN_ROWS = 16
# Of floats: absolute up to 1, relative above. Trees in ONNX compare in float32, other tools in float64.
TOLERANCE = 1e-3


class Pulled:
    """A pulled dataset: the manifest, and the rows of each split."""

    def __init__(self, path: str) -> None:
        self.path = pathlib.Path(path)
        self.manifest = json.loads((self.path / "manifest.json").read_text())["manifest"]
        self.features = [column for column in self.manifest["columns"] if column["role"] == "feature"]
        self.names = [column["name"] for column in self.features]

    def rows(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The features, float32 [rows, columns], and the labels, float64 [rows], in the order of time."""
        names = [file["name"] for file in self.manifest["files"] if file["split"] == split]
        table = pandas.concat([pandas.read_parquet(self.path / name) for name in names]).sort_values("at", kind="stable")
        # The file has null for a missing value. At serving, the model is given the default of the declaration.
        defaults = {column["name"]: float(column["default"]) for column in self.features if column["default"] is not None}
        x = table[self.names].astype("float64").fillna(defaults)
        return x.to_numpy(dtype=np.float32), table["label"].to_numpy(dtype=np.float64)


def arguments(doc: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="the folder that `datasets pull` wrote")
    parser.add_argument("out", help="the folder for model.onnx, golden.json and metrics.json")
    return parser.parse_args()


def write(out: str, model: onnx.ModelProto, dataset: Pulled, predict: Callable[[np.ndarray], np.ndarray]) -> None:
    """Writes the three files.

    `predict` is the trained model in its own library: float32 [rows, columns] to [rows]. Its predictions are the golden
    ones, so a wrong export is refused at publication.
    """
    folder = pathlib.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.helper.set_model_props(model, {"columns": ",".join(dataset.names)})
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    x, y = dataset.rows("test")
    golden = x[:: max(1, len(x) // GOLDEN_ROWS)][:GOLDEN_ROWS]
    answers = np.asarray(predict(golden), dtype=np.float64).reshape(-1, 1)
    (folder / "golden.json").write_text(
        json.dumps({"inputs": {INPUT: golden.tolist()}, "outputs": {OUTPUT: answers.tolist()}, "tolerance": TOLERANCE})
    )
    _, learned = dataset.rows("train")
    figures = {
        "testRows": len(y),
        "rmse": rmse(np.asarray(predict(x), dtype=np.float64).reshape(-1), y),
        "rmseOfMean": rmse(np.full_like(y, learned.mean()), y),
    }
    (folder / "metrics.json").write_text(json.dumps(figures))
    print(json.dumps(figures))


def rmse(predicted: np.ndarray, labels: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predicted - labels) ** 2)))
