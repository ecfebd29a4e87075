"""Embeddings, judged on brands that no model was trained on."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from numpy.typing import NDArray

from ._logodex import Dataset, Split, gathered, judge, report
from .catalog import frame, module
from .errors import UsageError

#: What can be asked.
PROTOCOLS = ("paper", "paper_cosine", "n_way_k_shot", "retrieval", "open_set")

Row = dict[str, Union[str, int, float, None]]


class Evaluation:
    """What was found of models: `rows` and `differences`, as frames, as a report.

    In a notebook it shows a forest plot: the mAP of every model with its interval, and the floors as lines.

    Attributes:
        models: the names, in the order in which they were given.
        path: the directory that holds one evaluated directory per model, as `logodex-eval evaluate` writes it.
        notices: what a person should hear, by model: what was left out, for example.
        rows: every number with its interval, a dict for each line of a report's `evaluation.csv`: `model`, `protocol`,
            `shots`, `metric`, `mean`, `ci_low`, `ci_high`, `region`, `slice`, `brands`. The floors follow the models.
        differences: the paired difference of every model to every reference with its interval, a dict for each line of a
            report's `comparisons.csv`: `model`, `reference`, …, `difference`, `ci_low`, `ci_high`.
        references: the models that the others are compared with: those that are named `baseline_…`; where none is, the first.
    """

    def __init__(self, path: Path, notices: dict[str, list[str]], temporary: Any = None) -> None:
        self.path = path
        self.notices = notices
        self.models = list(notices)
        baselines = [name for name in self.models if name.startswith("baseline_")]
        self.references = baselines or self.models[:1]
        # Deletes the directory with this object.
        self._temporary = temporary
        rows, differences, self._figures = gathered(self._folders(), self.references)
        self.rows = _lines(rows)
        self.differences = _lines(differences)

    def frame(self) -> Any:
        """`rows` as a polars frame, or as a pandas frame where polars is not installed."""
        return _frame(self.rows)

    def differences_frame(self) -> Any:
        """`differences` as a frame, as `frame`."""
        return _frame(self.differences)

    def value(self, model: str, metric: str, *, protocol: str = "paper", shots: int = 1, slice: str = "all") -> Row:
        """The one of `rows` of a model and metric, of the region that was judged first.

        Raises:
            UsageError: there is none.
        """
        wanted = {"model": model, "metric": metric, "protocol": protocol, "shots": shots, "slice": slice}
        for row in self.rows:
            if all(row[key] == value for key, value in wanted.items()):
                return row
        raise UsageError(f"no row has {wanted}")

    def report(self, out: Union[str, os.PathLike[str]]) -> Path:
        """Writes `report.html`, figures and tables into the directory `out`, as `logodex-eval report`; returns the page's path."""
        report(Path(out), self._folders())
        return Path(out) / "report.html"

    def _folders(self) -> list[Path]:
        return [self.path / _folder(name) for name in self.models]

    def _repr_html_(self) -> str:
        figures = [re.sub(r"^<\?xml[^>]*>\s*", "", figure) for figure in self._figures]
        return "<div>" + "".join(figures) + "</div>"

    def __repr__(self) -> str:
        first = [self._first(name) for name in self.models]
        said = [f"{row['model']} {row['mean']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]" for row in first if row]
        return f"<logodex.Evaluation: 1-shot mAP {', '.join(said)}>" if said else f"<logodex.Evaluation of {', '.join(self.models)}>"

    def _first(self, model: str) -> Optional[Row]:
        try:
            return self.value(model, "map")
        except UsageError:
            return None


def evaluate(
    models: Mapping[str, Any],
    rows: Any,
    dataset: Dataset,
    split: Union[str, Split],
    *,
    out: Union[str, os.PathLike[str], None] = None,
    protocols: Sequence[str] = PROTOCOLS,
    region: Optional[str] = None,
    seed: int = 42,
    progress: bool = True,
) -> Evaluation:
    """Judges embeddings of a dataset's rows on the split's test brands, with thresholds from its validation brands.

    Every number is that of `logodex-eval evaluate`, to the last bit. Ctrl-C ends it at once.

    Args:
        models: embeddings `[N, D]` by name: numpy arrays or torch tensors of any float type. They need not be normalised.
        rows: the N dataset rows that they are of, for example those of `split.val.rows` and `split.test.rows`. Rows of
            training brands are not judged, and a warning says so.
        dataset: the dataset.
        split: one of its splits, or its name.
        out: a directory to keep the results in; by default they live as long as what is returned.
        protocols: what to ask, of `PROTOCOLS`.
        region: `"image"`, `"object"` or `"both"`; by default all that the dataset holds, each judged by itself.
        seed: of episodes and bootstrap. Evaluations can be compared where it is the same.
        progress: whether a bar of tqdm shows the models, where tqdm is installed.

    Raises:
        UsageError: arrays that do not fit, rows that are not in the dataset, no row of a test brand.
    """
    if not models:
        raise UsageError('no model was given: evaluate({"name": embeddings}, …)')
    folders = [_folder(name) for name in models]
    if len(set(folders)) < len(folders):
        raise UsageError(f"two of these names are one folder: {sorted(models)}")
    # What does not fit is told before hours are spent on what does.
    embeddings = {name: _floats(name, given) for name, given in models.items()}
    temporary = tempfile.TemporaryDirectory(prefix="logodex-") if out is None else None
    path = Path(temporary.name) if temporary is not None else Path(out or "")
    notices: dict[str, list[str]] = {}
    for name in _progress(embeddings, progress):
        notices[name] = judge(
            name=name,
            embeddings=embeddings[name],
            rows=rows,
            dataset=dataset,
            split=split if isinstance(split, str) else split.name,
            out=path / _folder(name),
            protocols=list(protocols),
            region=region,
            seed=seed,
        )
        for notice in notices[name]:
            warnings.warn(f"{name}: {notice}", stacklevel=2)
    return Evaluation(path, notices, temporary)


def _folder(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name) or "_"


def _floats(name: str, given: Any) -> NDArray[np.float32]:
    """Float32 `[N, D]`, C-contiguous, of an array or a tensor."""
    if hasattr(given, "detach"):  # a torch tensor, perhaps bfloat16, which numpy has not
        given = given.detach().cpu().float().numpy()
    array: NDArray[Any] = np.asarray(given)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise UsageError(f"{name}: embeddings are floats [N, D], not {array.dtype} {list(array.shape)}")
    return np.ascontiguousarray(array, dtype=np.float32)


#: Columns of numbers; all others are texts, also where a brand or a model is called "76".
_NUMBERS: dict[str, type] = {
    "shots": int,
    "brands": int,
    "mean": float,
    "difference": float,
    "ci_low": float,
    "ci_high": float,
}


def _lines(table: bytes) -> list[Row]:
    lines = csv.DictReader(io.StringIO(table.decode("utf-8"), newline=""))
    return [{key: _value(key, text) for key, text in line.items()} for line in lines]


def _value(column: str, text: str) -> Union[str, int, float, None]:
    kind = _NUMBERS.get(column)
    if kind is None:
        return text
    value: Union[int, float, None] = None if text == "" else kind(text)
    return value


def _frame(rows: list[Row]) -> Any:
    return frame(lambda polars: polars.DataFrame(rows, infer_schema_length=None), lambda pandas: pandas.DataFrame(rows))


def _progress(models: Mapping[str, Any], wanted: bool) -> Iterable[str]:
    if not wanted:
        return models
    tqdm: Any = module("tqdm.auto")
    if tqdm is None:
        return models
    # Where nobody sees it, as in a log, there is none.
    bar: Iterable[str] = tqdm.tqdm(models, desc="evaluate", unit="model", disable=None)
    return bar
