"""Brand names read back as the texts that they are: read_tables.py DATASET BRAND..., of which all must be there"""

import csv
import sys
from pathlib import Path

import pandas as pd
import polars as pl

dataset, expected = Path(sys.argv[1]), sys.argv[2:]
catalog = pl.read_parquet(dataset / "catalog.parquet")
names = sorted(catalog["brand"].unique().to_list())
assert set(expected) <= set(names), names


def check(brands, indices, reader):
    assert all(isinstance(brand, str) for brand in brands), (reader, brands)
    assert sorted(brands) == names, (reader, brands)
    assert [int(index) for index in indices] == list(range(len(names))), (reader, indices)


files = [(dataset / "brand_to_index.csv"), (dataset / "brands.csv"), *sorted((dataset / "splits").glob("*.csv"))]
for path in files:
    # polars and pandas guess types through quotes, so that a table of nothing but numbers must be told.
    frame = pl.read_csv(path, schema_overrides={"brand": pl.String})
    assert frame.schema["index"] == pl.Int64
    check(frame["brand"].to_list(), frame["index"].to_list(), ("polars", path))

    # `None` and `NA` could be brands.
    frame = pd.read_csv(path, dtype={"brand": str}, keep_default_na=False)
    assert frame["index"].dtype == "int64"
    check(frame["brand"].tolist(), frame["index"].tolist(), ("pandas", path))

    # As a spreadsheet that takes a quoted field for text.
    with open(path, newline="") as file:
        rows = list(csv.reader(file, quoting=csv.QUOTE_NONNUMERIC))
    brand, index = rows[0].index("brand"), rows[0].index("index")
    assert all(isinstance(row[index], float) for row in rows[1:])
    check([row[brand] for row in rows[1:]], [row[index] for row in rows[1:]], ("csv", path))
print(f"{len(files)} tables of {len(names)} brands")
