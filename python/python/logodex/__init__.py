"""Datasets of logos that one can trust, a judge of embeddings on brands never seen in training, and a recogniser.

A dataset that `logodex-data build` made:

    >>> import logodex
    >>> d = logodex.open("data/logodet3k")
    >>> test = d.split("default").test
    >>> picture, label = test[0]          # uint8 [side, side, 3], and the brand's number

`d`, and each fold of a split, is a map-style dataset for `torch.utils.data.DataLoader`, with any number of workers;
`TripletSampler`, `PairSampler` and `PKSampler` draw what `logodex-train` draws.

Embeddings of its rows, from any network:

    >>> result = logodex.evaluate({"mine": embeddings}, rows, d, split="default")
    >>> result.frame()                    # every number with its 95 % interval
    >>> result.report("out")              # out/report.html

Logos in pictures, with a model that `logodex-train export` wrote:

    >>> r = logodex.Recognizer("model.onnx", gallery="gallery")
    >>> r.enrol("Nike", ["a.jpg", "b.jpg"])
    >>> r.identify("photo.jpg")

It has no logic of its own: every answer is that of the programs `logodex-data`, `logodex-eval` and `logodex`, to the last
bit. Every exception is a `LogodexError`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Union

from ._logodex import Dataset, Fold, Split
from .catalog import Brand
from .errors import CorruptError, LogodexError, NotFoundError, PictureError, RowError, UsageError
from .judge import Evaluation, evaluate
from .recognizer import Candidate, Enrolment, Identified, Recognizer, Verified

if TYPE_CHECKING:
    from .samplers import PairSampler, PKSampler, TripletSampler

__all__ = [
    "Brand",
    "Candidate",
    "CorruptError",
    "Dataset",
    "Enrolment",
    "Evaluation",
    "Fold",
    "Identified",
    "LogodexError",
    "NotFoundError",
    "PKSampler",
    "PairSampler",
    "PictureError",
    "Recognizer",
    "RowError",
    "Split",
    "TripletSampler",
    "UsageError",
    "Verified",
    "evaluate",
    "open",
]


def open(path: Union[str, os.PathLike[str]]) -> Dataset:
    """Opens the dataset in the directory `path`.

    Tables and the shards' headers are read and compared with their hashes; pixels are mapped into memory, and each row is
    compared with its checksum when it is first touched.

    Raises:
        NotFoundError: there is no dataset.
        CorruptError: a file is damaged, or of another version of the format.
    """
    return Dataset(path)


def __getattr__(name: str) -> Any:
    # They are torch's samplers where torch is installed, which takes seconds to import.
    if name in ("PKSampler", "PairSampler", "TripletSampler"):
        from . import samplers

        return getattr(samplers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
