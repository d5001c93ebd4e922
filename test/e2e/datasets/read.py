"""Reads the Parquet files of a folder with pandas, DuckDB and Polars, and prints what each finds in them as JSON."""

import json
import sys
from pathlib import Path

import duckdb
import pandas
import polars

folder = Path(sys.argv[1])
files = sorted(folder.glob("*.parquet"))


def told(rows, columns, at, labels, nulls):
    """What is compared: moments in milliseconds, and sums in an order that all readers share."""
    return {"rows": rows, "columns": columns, "at": at, "labels": labels, "nulls": nulls}


table = pandas.concat([pandas.read_parquet(file) for file in files])
as_ms = table["at"].astype("datetime64[ms, UTC]" if table["at"].dt.tz is not None else "datetime64[ms]").astype("int64")
found = {
    "pandas": told(
        len(table),
        list(table.columns),
        [int(as_ms.min()), int(as_ms.max())],
        float(table["label"].sum()),
        int(table.isna().sum().sum()),
    )
}

view = duckdb.sql(f"select * from read_parquet('{folder}/*.parquet')")
columns = view.columns
rows, first, last, labels = duckdb.sql(
    'select count(*), epoch_ms(min("at")), epoch_ms(max("at")), sum(label) from view'
).fetchall()[0]
nulls = duckdb.sql(
    "select " + " + ".join(f'count(*) filter ("{name}" is null)' for name in columns) + " from view"
).fetchall()[0][0]
found["duckdb"] = told(rows, columns, [first, last], labels, nulls)

frame = polars.read_parquet(files)
moments = frame["at"].dt.epoch("ms")
found["polars"] = told(
    frame.height,
    frame.columns,
    [moments.min(), moments.max()],
    frame["label"].sum(),
    sum(frame.null_count().row(0)),
)
print(json.dumps(found))
