"""Runs the drift detectors of river over the streams of a folder, and prints the rows of their alarms as JSON.

Arguments: the folder with one stream a file (one value a line), and the expected rows between two false alarms. The
settings of ADWIN and of PageHinkley are also searched for that run time, on the streams whose names begin with "calm".
KSWIN takes a millisecond a row, so it runs with its defaults only.
"""
import json
import pathlib
import sys

from river import drift

folder, expected = pathlib.Path(sys.argv[1]), float(sys.argv[2])
streams = {path.stem: [float(line) for line in path.read_text().split()] for path in sorted(folder.glob("*.txt"))}
calm = [values for name, values in streams.items() if name.startswith("calm")]


def alarms(detector, values):
    found = []
    for row, value in enumerate(values, 1):
        detector.update(value)
        if detector.drift_detected:
            found.append(row)
    return found


def searched(make, low, high):
    """The setting, searched by its logarithm, at which calm streams run as long as expected; alarms fall with it."""
    rows = sum(map(len, calm))
    for _ in range(12):
        middle = (low * high) ** 0.5
        count = sum(len(alarms(make(middle), values)) for values in calm)
        if count > rows / expected:
            low = middle
        else:
            high = middle
    return high


strict = searched(lambda by: drift.ADWIN(delta=1 / by), 1.0, 1e9)
patience = searched(lambda by: drift.PageHinkley(threshold=by), 1.0, 1e5)
detectors = {
    "ADWIN": drift.ADWIN,
    f"ADWIN, delta {1 / strict:.2g}": lambda: drift.ADWIN(delta=1 / strict),
    "PageHinkley": drift.PageHinkley,
    f"PageHinkley, threshold {patience:.3g}": lambda: drift.PageHinkley(threshold=patience),
    "KSWIN": lambda: drift.KSWIN(seed=1),
}
judged = {name: values for name, values in streams.items() if not name.startswith("calm")}
print(json.dumps({name: {key: alarms(make(), values) for key, values in judged.items()} for name, make in detectors.items()}))
