"""What a dataset says of its brands and rows."""

from __future__ import annotations

import importlib
import io
from dataclasses import dataclass
from typing import Any, Callable, Optional

from .errors import UsageError


@dataclass(frozen=True)
class Brand:
    """A brand, and where its rows lie: from `first_row` on, `n_rows` of them."""

    index: int
    category: str
    brand: str
    #: `category/brand`, which no other brand has.
    key: str
    first_row: int
    n_rows: int
    #: Source images.
    n_images: int
    #: Annotated objects.
    n_objects: int

    @property
    def rows(self) -> range:
        """Its rows."""
        return range(self.first_row, self.first_row + self.n_rows)


def of_parquet(parquet: bytes) -> Any:
    """A Parquet file as a frame."""
    file = io.BytesIO(parquet)
    return frame(lambda polars: polars.read_parquet(file), lambda pandas: pandas.read_parquet(file))


def frame(of_polars: Callable[[Any], Any], of_pandas: Callable[[Any], Any]) -> Any:
    """A frame of polars, else of pandas.

    Raises:
        UsageError: neither is installed.
    """
    polars, pandas = module("polars"), module("pandas")
    if polars is not None:
        return of_polars(polars)
    if pandas is not None:
        return of_pandas(pandas)
    raise UsageError("a frame is one of polars or of pandas, and neither is installed: pip install polars")


def module(name: str) -> Optional[Any]:
    """A module that people may have, or none."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
