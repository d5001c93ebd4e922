"""Makes mood.onnx and mood.golden.json: a classifier of scikit-learn with text labels, as docs/models.md shows.

pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnxruntime==1.32.0
"""

import json

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier

COLUMNS = ["purchases_30d", "hour"]

rng = np.random.default_rng(1)
X = np.column_stack([rng.integers(0, 30, 400), rng.integers(0, 24, 400)]).astype(np.float32)
score = X[:, 0] + X[:, 1] / 2
y = np.where(score > 25, "high", np.where(score > 12, "medium", "low"))
model = RandomForestClassifier(n_estimators=5, max_depth=3, random_state=1).fit(X, y)

onnx = to_onnx(
    model,
    initial_types=[("input", FloatTensorType([None, len(COLUMNS)]))],
    options={"zipmap": False},
    target_opset={"": 17, "ai.onnx.ml": 3},
)
columns = onnx.metadata_props.add()
columns.key, columns.value = "columns", ",".join(COLUMNS)
with open("mood.onnx", "wb") as file:
    file.write(onnx.SerializeToString())

session = onnxruntime.InferenceSession("mood.onnx")
rows = {"input": X[:8]}
outputs = dict(zip([output.name for output in session.get_outputs()], session.run(None, rows)))
with open("mood.golden.json", "w") as file:
    json.dump(
        {
            "inputs": {name: values.tolist() for name, values in rows.items()},
            "outputs": {name: values.tolist() for name, values in outputs.items()},
            "tolerance": 1e-4,
        },
        file,
    )
