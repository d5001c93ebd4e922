"""Computes scikit-learn's measures of the rows in FILE, a JSON object, and prints them as JSON."""
import json
import sys

import numpy
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error, ndcg_score, roc_auc_score
from sklearn.metrics import root_mean_squared_error

with open(sys.argv[1]) as file:
    given = {name: numpy.array(values) for name, values in json.load(file).items()}
scores, labels, weights, numbers = (given[name] for name in ("scores", "labels", "weights", "numbers"))
observed, predicted = calibration_curve(labels, scores, n_bins=10)
print(
    json.dumps(
        {
            "auc": roc_auc_score(labels, scores, sample_weight=weights),
            "logLoss": log_loss(labels, scores, sample_weight=weights),
            "brier": brier_score_loss(labels, scores, sample_weight=weights),
            "rmse": root_mean_squared_error(numbers, scores, sample_weight=weights),
            "mae": mean_absolute_error(numbers, scores, sample_weight=weights),
            "ndcg": ndcg_score([labels[:40]], [scores[:40]], k=10),
            "observed": list(observed),
            "predicted": list(predicted),
        }
    )
)
