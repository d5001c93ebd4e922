"""Reads features and pushes events with the Python SDK of Feast, by its `remote` online store.

    client.py BASE_URL KEY [FEATURE…] < steps.json

The feature view of customers has these features, too, all of them whole numbers.

Reads a JSON array of steps: {"read": {"features": […] or "service": NAME, "rows": […], "full": BOOLEAN}},
{"online_read": {"features": […], "keys": […]}} or {"push": {"source": NAME, "df": {COLUMN: […]}}}. Writes a line of JSON
for each: the result, or the error that the SDK raises.
"""

import json
import os
import sys
import tempfile
from datetime import timedelta

import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float64, Int64, String

TIMES = {"timestamp_field": "event_timestamp", "created_timestamp_column": "created"}


def store_of(folder, url, key, more):
    """A repository whose feature views are an entity of the catalog and a type of events."""
    os.environ["MILLRACE_KEY"] = key
    config = RepoConfig(
        project="millrace",
        provider="local",
        registry=f"{folder}/registry.db",
        repo_path=folder,
        online_store={"type": "remote", "path": url},
        offline_store={"type": "file"},
        auth={"type": "oidc", "token_env_var": "MILLRACE_KEY"},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    source = FileSource(name="lines", path=f"{folder}/lines.parquet", **TIMES)
    pd.DataFrame(
        {"event_timestamp": [pd.Timestamp.now(tz="UTC")], "created": [pd.Timestamp.now(tz="UTC")]}
    ).to_parquet(f"{folder}/lines.parquet")
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
    line = Entity(name="line", join_keys=["customerId"], value_type=ValueType.STRING)
    features = FeatureView(
        name="customer",
        entities=[customer],
        ttl=timedelta(0),
        schema=[
            Field(name="customer_id", dtype=String),
            Field(name="purchases_30d", dtype=Int64),
            Field(name="spend_minor_90d", dtype=Int64),
            Field(name="last_purchase_at", dtype=Int64),
            *(Field(name=name, dtype=Int64) for name in more),
        ],
        source=source,
    )
    fields = {"customerId": String, "invoice": String, "sku": String, "description": String, "quantity": Int64}
    purchases = FeatureView(
        name="shop.purchase.v1",
        entities=[line],
        schema=[
            *(Field(name=name, dtype=dtype) for name, dtype in fields.items()),
            Field(name="unitPrice", dtype=Float64),
            Field(name="country", dtype=String),
        ],
        source=PushSource(name="purchases", batch_source=source),
    )
    service = FeatureService(name="expected-spend", features=[features])
    # Applied object by object: `store.apply` would infer schemas from the source's file.
    for entity in (customer, line):
        store.registry.apply_entity(entity, store.project)
    for view in (features, purchases):
        store.registry.apply_feature_view(view, store.project)
    store.registry.apply_feature_service(service, store.project)
    return store, features


def read(store, _, asked):
    features = store.get_feature_service(asked["service"]) if "service" in asked else asked["features"]
    response = store.get_online_features(
        features=features, entity_rows=asked["rows"], full_feature_names=asked.get("full", False)
    )
    statuses = [[int(status) for status in result.statuses] for result in response.proto.results]
    names = response.proto.metadata.feature_names.val
    return {"values": response.to_dict(), "statuses": dict(zip(names, statuses, strict=True))}


def online_read(store, view, asked):
    """The interface of an online store itself, which other parts of the SDK use."""
    keys = [EntityKey(join_keys=["customer_id"], entity_values=[Value(string_val=key)]) for key in asked["keys"]]
    rows = store._get_provider().online_read(store.config, view, keys, asked["features"])
    return [
        None if values is None else {name: getattr(value, value.WhichOneof("val")) for name, value in values.items()}
        for _, values in rows
    ]


def push(store, _, asked):
    df = pd.DataFrame(asked["df"])
    for column in ("event_timestamp", "created"):
        df[column] = pd.to_datetime(df[column], utc=True)
    store.push(asked["source"], df)
    return "pushed"


STEPS = {"read": read, "online_read": online_read, "push": push}


def main(url, key, *more):
    with tempfile.TemporaryDirectory() as folder:
        store, view = store_of(folder, url, key, more)
        for step in json.load(sys.stdin):
            ((name, asked),) = step.items()
            try:
                answer = {"result": STEPS[name](store, view, asked)}
            except Exception as error:  # Whatever the SDK raises is an outcome that the test judges.
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)


main(*sys.argv[1:])
