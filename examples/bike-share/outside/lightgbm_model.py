"""Trains boosted trees with LightGBM. pip install lightgbm onnxmltools skl2onnx pandas pyarrow"""

from lightgbm import LGBMRegressor, early_stopping
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from pulled import INPUT, Pulled, arguments, write

options = arguments(__doc__)
dataset = Pulled(options.dataset)
x, y = dataset.rows("train")
model = LGBMRegressor(n_estimators=200, num_leaves=15, learning_rate=0.05, verbose=-1, seed=1)
model.fit(x, y, eval_set=[dataset.rows("validation")], callbacks=[early_stopping(20, verbose=False)])
exported = convert_lightgbm(
    model.booster_, initial_types=[(INPUT, FloatTensorType([None, x.shape[1]]))], target_opset=15
)
write(options.out, exported, dataset, model.predict)
