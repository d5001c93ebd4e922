"""Feast's own server over Redis, with the rows that it reads from standard input.

    feast_server.py PORT REDIS_PORT < rows.json

Reads {"names": [FEATURE…], "rows": {KEY: [NUMBER or null…]}}. Writes the rows into the online store as floats, prints
"ready", and serves with one worker process, without an access log and without recycling the process.
"""

import json
import sys
import tempfile
from datetime import timedelta

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, String


def store_of(folder, names, redis_port):
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=f"{folder}/registry.db",
            repo_path=folder,
            online_store={"type": "redis", "connection_string": f"127.0.0.1:{redis_port}"},
            offline_store={"type": "file"},
            entity_key_serialization_version=3,
        )
    )
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="customer",
        entities=[customer],
        ttl=timedelta(0),
        schema=[Field(name="customer_id", dtype=String), *(Field(name=name, dtype=Float64) for name in names)],
        source=FileSource(name="rows", path=f"{folder}/rows.parquet", timestamp_field="event_timestamp"),
    )
    # Applied object by object: `store.apply` would infer schemas from the source's file, which does not exist.
    store.registry.apply_entity(customer, store.project)
    store.registry.apply_feature_view(view, store.project)
    return store


def main(port, redis_port):
    data = json.load(sys.stdin)
    names, rows = data["names"], data["rows"]
    with tempfile.TemporaryDirectory() as folder:
        store = store_of(folder, names, redis_port)
        frame = pd.DataFrame(list(rows.values()), columns=names, dtype="float64")
        frame["customer_id"] = list(rows)
        frame["event_timestamp"] = pd.Timestamp.now(tz="UTC")
        store.write_to_online_store("customer", frame)
        print("ready", flush=True)
        store.serve("127.0.0.1", port, workers=1, max_requests=0, max_requests_jitter=0)


main(int(sys.argv[1]), int(sys.argv[2]))
