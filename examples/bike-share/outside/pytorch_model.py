"""Trains a small network with PyTorch; the scaler is part of the graph. pip install torch onnx onnxscript pandas pyarrow"""

import numpy as np
import torch
from pulled import INPUT, OUTPUT, Pulled, arguments, write

EPOCHS, BATCH = 30, 256


class Network(torch.nn.Module):
    def __init__(self, x: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("deviation", x.std(0) + 1e-6)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(x.shape[1], 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers((x - self.mean) / self.deviation)


options = arguments(__doc__)
dataset = Pulled(options.dataset)
torch.manual_seed(1)
rows, labels = dataset.rows("train")
x, y = torch.from_numpy(rows), torch.from_numpy(labels.astype(np.float32)).unsqueeze(1)
model = Network(x)
optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(EPOCHS):
    for batch in torch.randperm(len(x)).split(BATCH):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(model(x[batch]), y[batch]).backward()
        optimiser.step()
model.eval()

exported = torch.onnx.export(
    model,
    (x[:2],),
    input_names=[INPUT],
    output_names=[OUTPUT],
    dynamic_shapes=({0: "batch"},),
    opset_version=18,
    dynamo=True,
    verbose=False,
)


def predict(features: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(features)).numpy()


write(options.out, exported.model_proto, dataset, predict)
