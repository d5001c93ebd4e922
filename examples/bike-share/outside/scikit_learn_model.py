"""Trains a scaler and a linear regression with scikit-learn. pip install scikit-learn skl2onnx pandas pyarrow"""

from pulled import INPUT, OPSET, Pulled, arguments, write
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

options = arguments(__doc__)
dataset = Pulled(options.dataset)
x, y = dataset.rows("train")
model = make_pipeline(StandardScaler(), LinearRegression()).fit(x, y)
exported = to_onnx(
    model, initial_types=[(INPUT, FloatTensorType([None, x.shape[1]]))], target_opset=OPSET
)
write(options.out, exported, dataset, model.predict)
