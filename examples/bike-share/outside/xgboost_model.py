"""Trains boosted trees with XGBoost. pip install xgboost-cpu scikit-learn onnxmltools skl2onnx pandas pyarrow"""

from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from pulled import INPUT, Pulled, arguments, write
from xgboost import XGBRegressor

options = arguments(__doc__)
dataset = Pulled(options.dataset)
x, y = dataset.rows("train")
model = XGBRegressor(n_estimators=200, max_depth=4, learning_rate=0.05, early_stopping_rounds=20, seed=1)
model.fit(x, y, eval_set=[dataset.rows("validation")], verbose=False)
exported = convert_xgboost(
    model, initial_types=[(INPUT, FloatTensorType([None, x.shape[1]]))], target_opset=15
)
write(options.out, exported, dataset, model.predict)
