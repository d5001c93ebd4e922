"""Trains reference libraries on a set of rows, and prints as JSON their losses on the later rows, and how long they took.

reference.py FILE: a JSON object with `rows`, `columns`, `trainingRows`, `task` and `recipe`; beside it FILE.f32 has the
columns one after the other and then the labels, as little-endian float32.
"""
import importlib
import json
import sys
import time

import numpy

path = sys.argv[1]
with open(path) as file:
    spec = json.load(file)
rows, columns, split = spec["rows"], spec["columns"], spec["trainingRows"]
values = numpy.fromfile(path + ".f32", dtype="<f4").reshape(columns + 1, rows)
features, labels = values[:columns].T.astype(numpy.float64), values[columns].astype(numpy.float64)
seen, later = slice(0, split), slice(split, rows)
is_regression = spec["task"] == "regression"


def loss(predicted):
    """The mean squared error, or the mean log loss in nats, on the later rows."""
    wanted = labels[later]
    if is_regression:
        return float(numpy.mean((predicted - wanted) ** 2))
    share = numpy.clip(predicted, 1e-15, 1 - 1e-15)
    return float(-numpy.mean(wanted * numpy.log(share) + (1 - wanted) * numpy.log(1 - share)))


def lightgbm(recipe):
    import lightgbm

    model = (lightgbm.LGBMRegressor if is_regression else lightgbm.LGBMClassifier)(
        n_estimators=recipe["trees"],
        learning_rate=recipe["learningRate"],
        num_leaves=recipe["leaves"],
        max_depth=recipe["depth"],
        min_child_samples=recipe["leafRows"],
        min_child_weight=recipe["leafHessian"],
        reg_lambda=recipe["l2"],
        max_bin=recipe["bins"],
        n_jobs=1,
        deterministic=True,
        verbose=-1,
    )
    model.fit(features[seen], labels[seen])
    return loss(model.predict(features[later]) if is_regression else model.predict_proba(features[later])[:, 1])


def standardised():
    mean, deviation = numpy.nanmean(features[seen], axis=0), numpy.nanstd(features[seen], axis=0)
    return numpy.nan_to_num((features - mean) / deviation)


def linear(_recipe):
    from sklearn.linear_model import LinearRegression, LogisticRegression

    scaled = standardised()
    if is_regression:
        return loss(LinearRegression().fit(scaled[seen], labels[seen]).predict(scaled[later]))
    model = LogisticRegression(C=1e6, max_iter=1000).fit(scaled[seen], labels[seen])
    return loss(model.predict_proba(scaled[later])[:, 1])


def network(recipe):
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    scaled = standardised()
    settings = dict(
        hidden_layer_sizes=tuple(recipe["hidden"]),
        max_iter=recipe["epochs"],
        batch_size=recipe["batch"],
        learning_rate_init=recipe["learningRate"],
        alpha=0.0,
        n_iter_no_change=recipe["epochs"],
        random_state=1,
    )
    if is_regression:
        mean, deviation = labels[seen].mean(), labels[seen].std()
        model = MLPRegressor(**settings).fit(scaled[seen], (labels[seen] - mean) / deviation)
        return loss(model.predict(scaled[later]) * deviation + mean)
    return loss(MLPClassifier(**settings).fit(scaled[seen], labels[seen]).predict_proba(scaled[later])[:, 1])


REFERENCES = {"lightgbm": lightgbm, "linear": linear, "network": network}
MODULES = {"lightgbm": "lightgbm", "linear": "sklearn.linear_model", "network": "sklearn.neural_network"}
# Their import is no part of a training.
importlib.import_module(MODULES[spec["reference"]])
started, cpu_started = time.perf_counter(), time.process_time()
found = REFERENCES[spec["reference"]](spec["recipe"])
seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
print(json.dumps({"loss": found, "seconds": seconds, "cpuSeconds": cpu_seconds}))
