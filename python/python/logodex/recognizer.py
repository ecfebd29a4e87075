"""Names logos, or says that it does not know them."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Optional, Union, overload

import numpy as np
from numpy.typing import NDArray

from ._logodex import Recognizer as _Native
from .errors import UsageError

#: x0, y0, x1, y1, pixels, with x0 < x1 and y0 < y1.
Box = Sequence[int]


@dataclass(frozen=True)
class Candidate:
    """A brand that a picture may show, and the cosine similarity of the two."""

    brand: str
    similarity: float


@dataclass(frozen=True)
class Identified:
    """What a picture shows, as far as the gallery knows."""

    #: The picture, as it was named.
    file: str
    #: "known" or "unknown".
    verdict: str
    #: The brand; none of an unknown one.
    brand: Optional[str]
    #: To the most similar brand; none where no brand is enrolled.
    similarity: Optional[float]
    #: From which similarity on a brand is named.
    threshold: float
    #: The share of strangers that are named at this threshold and this gallery's size, as calibrated.
    false_accept_rate: Optional[float]
    #: The most similar brands, most similar first.
    top: list[Candidate]


@dataclass(frozen=True)
class Verified:
    """Whether two pictures show one brand."""

    same: bool
    similarity: float
    #: From which similarity on two pictures show one brand.
    threshold: float
    #: The share of pairs of different brands that reach it, as calibrated.
    false_accept_rate: Optional[float]


@dataclass(frozen=True)
class Duplicate:
    """A picture that was not enrolled, because it is enrolled already."""

    #: Its place among the pictures given.
    place: int
    #: The brand that it is enrolled as, and from where.
    brand: str
    source: str
    #: The same part of the same file; otherwise it looks the same.
    same_file: bool


@dataclass(frozen=True)
class Enrolment:
    """What enrolling came to."""

    brand: str
    #: Pictures added.
    added: int
    #: Pictures of the brand now.
    pictures: int
    duplicates: list[Duplicate]
    #: The other brand that is most similar, and how similar.
    nearest: Optional[Candidate]
    #: The least, over its pictures, of the similarity to their own brand less that to another. Below 0, a picture would be named
    #: after the other.
    margin: Optional[float]
    #: Whether the brand may be taken for the nearest other.
    collision: bool


class Recognizer:
    """A model that `logodex-train export` wrote, and a gallery of brands.

    Pictures are paths, `bytes` of image files, PIL pictures, or arrays uint8 `[height, width]` (grey), `[height, width, 3]`
    (RGB) or `[height, width, 4]` (RGBA). An array is what a PNG of its pixels is. Answers are those of `logodex identify`,
    `verify`, `enrol` and `embed`.

    Args:
        model: the file; by default the gallery's own, which it keeps.
        gallery: a directory, or `postgres://…`; it is begun by the first `enrol`. Without one it embeds and verifies.
        threads: 0 for one per core.

    Raises:
        UsageError: no such file, a gallery of another model, or no ONNX Runtime (`pip install logodex[recognizer]`).
        CorruptError: a damaged gallery.
    """

    def __init__(
        self,
        model: Union[str, os.PathLike[str], None] = None,
        gallery: Union[str, os.PathLike[str], None] = None,
        *,
        threads: int = 0,
    ) -> None:
        _find_onnxruntime()
        self._native = _Native(_path(model), _path(gallery), threads)

    @property
    def dim(self) -> int:
        """Embedding size D."""
        return self._native.dim

    @property
    def side(self) -> int:
        """Side of the square that the model takes, pixels."""
        return self._native.side

    @property
    def fingerprint(self) -> str:
        """What the model is told by, hexadecimal."""
        return self._native.fingerprint

    @property
    def brands(self) -> dict[str, int]:
        """The enrolled brands by name, with the numbers of their pictures, as the gallery is now."""
        return dict(self._native.brands())

    def embed(self, pictures: Any, boxes: Optional[Sequence[Optional[Box]]] = None) -> NDArray[np.float32]:
        """Embeddings of length one, `[N, D]`; of a single picture `[D]`.

        Args:
            pictures: one, or a list.
            boxes: the part that is meant of each; None for all of it.

        Raises:
            PictureError: the first that cannot be used, by name.
        """
        all_, single = _several(pictures)
        embeddings = self._native.embed(all_, _boxes(boxes, all_, single))
        first: NDArray[np.float32] = embeddings[0] if single else embeddings
        return first

    @overload
    def identify(
        self,
        pictures: Union[str, bytes, os.PathLike[str], NDArray[np.uint8]],
        boxes: Optional[Sequence[Optional[Box]]] = None,
        *,
        top: int = 5,
        far: float = 0.01,
        threshold: Optional[float] = None,
    ) -> Identified: ...

    @overload
    def identify(
        self,
        pictures: Union[list[Any], tuple[Any, ...]],
        boxes: Optional[Sequence[Optional[Box]]] = None,
        *,
        top: int = 5,
        far: float = 0.01,
        threshold: Optional[float] = None,
    ) -> list[Identified]: ...

    @overload
    def identify(
        self,
        pictures: Any,
        boxes: Optional[Sequence[Optional[Box]]] = None,
        *,
        top: int = 5,
        far: float = 0.01,
        threshold: Optional[float] = None,
    ) -> Any: ...

    def identify(
        self,
        pictures: Any,
        boxes: Optional[Sequence[Optional[Box]]] = None,
        *,
        top: int = 5,
        far: float = 0.01,
        threshold: Optional[float] = None,
    ) -> Any:
        """What pictures show: an `Identified`, or of a list of pictures a list.

        Args:
            pictures: one, or a list.
            boxes: the part that is meant of each; None for all of it.
            top: how many brands to tell of each.
            far: the share of strangers (pictures of brands that are not enrolled) that may be named all the same.
            threshold: a similarity, instead of a rate: a brand is named from it on.

        Raises:
            PictureError: the first that cannot be used, by name.
            UsageError: no gallery, or nothing is calibrated and no threshold is given.
        """
        if top < 1:
            raise UsageError(f"top = {top}: it is 1 or more")
        all_, single = _several(pictures)
        lines, caution = self._native.identify(all_, _boxes(boxes, all_, single), top, far, threshold)
        _caution(caution)
        identified = [_identified(json.loads(line)) for line in lines]
        return identified[0] if single else identified

    def verify(
        self,
        a: Any,
        b: Any,
        boxes: Sequence[Optional[Box]] = (None, None),
        *,
        far: float = 0.01,
        threshold: Optional[float] = None,
    ) -> Verified:
        """Whether two pictures show one brand. No gallery is needed.

        Args:
            a: a picture.
            b: another.
            boxes: the parts that are meant of the two.
            far: the share of pairs of different brands that may be taken for one.
            threshold: a similarity, instead of a rate.

        Raises:
            PictureError: one that cannot be used, by name.
            UsageError: the model is not calibrated, and no threshold is given.
        """
        same, similarity, from_, rate, caution = self._native.verify([a, b], _boxes(boxes, [a, b], False), far, threshold)
        _caution(caution)
        return Verified(same, similarity, from_, rate)

    def enrol(
        self,
        brand: str,
        pictures: Any,
        boxes: Optional[Sequence[Optional[Box]]] = None,
        *,
        duplicates: bool = False,
        keep: bool = False,
    ) -> Enrolment:
        """Enrols pictures of a brand: all or, where one cannot be used, none. It is on disk when this returns.

        Args:
            brand: its name.
            pictures: one, or a list.
            boxes: the part that is meant of each; None for all of it.
            duplicates: enrol those that are enrolled already, too: the same file, or one that looks the same.
            keep: keep a copy of each in the gallery. Pictures that are no files are kept in any case.

        Raises:
            PictureError: the first that cannot be used, by name.
            UsageError: a name that does not do, or no gallery.
        """
        all_, single = _several(pictures)
        told = json.loads(self._native.enrol(brand, all_, _boxes(boxes, all_, single), duplicates, keep))
        standing: dict[str, Any] = told["standing"] or {}
        nearest = standing.get("nearest")
        return Enrolment(
            brand=brand,
            added=told["added"],
            pictures=standing.get("pictures", self.brands.get(brand, 0)),
            duplicates=[Duplicate(**duplicate) for duplicate in told["duplicates"]],
            nearest=Candidate(nearest, standing["nearest_similarity"]) if nearest is not None else None,
            margin=standing.get("margin"),
            collision=standing.get("collision", False),
        )


def _path(given: Union[str, os.PathLike[str], None]) -> Any:
    return None if given is None else os.fspath(given)


def _several(pictures: Any) -> tuple[list[Any], bool]:
    """A list of pictures, and whether one was given alone."""
    if isinstance(pictures, (list, tuple)):
        several: list[Any] = list(pictures)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return several, False
    if getattr(pictures, "ndim", 0) == 4:
        return list(pictures), False
    return [pictures], True


def _boxes(boxes: Optional[Sequence[Any]], pictures: list[Any], single: bool) -> list[Optional[list[int]]]:
    if boxes is None:
        return [None] * len(pictures)
    given: list[Any] = list(boxes)
    if single and len(given) == 4 and not any(isinstance(part, (list, tuple, type(None))) for part in given):
        given = [given]
    if len(given) != len(pictures):
        raise UsageError(f"{len(given)} boxes for {len(pictures)} pictures: one for each, None for the whole picture")
    for box in given:
        if box is not None and (len(box) != 4 or any(int(part) < 0 for part in box)):
            raise UsageError(f"{box!r} is no box: it is x0, y0, x1, y1, pixels, with x0 < x1 and y0 < y1")
    return [None if box is None else [int(part) for part in box] for box in given]


def _identified(line: dict[str, Any]) -> Identified:
    fields: dict[str, Any] = {**line, "top": [Candidate(**candidate) for candidate in line["top"]]}
    return Identified(**fields)


def _caution(said: Optional[str]) -> None:
    if said is not None:
        warnings.warn(said, stacklevel=3)


def _find_onnxruntime() -> None:
    """The library of the package `onnxruntime`, unless another is named."""
    spec = None if os.environ.get("ORT_DYLIB_PATH") else find_spec("onnxruntime")
    if spec is not None and spec.origin is not None:
        for library in sorted((Path(spec.origin).parent / "capi").glob("libonnxruntime.so*")):
            os.environ["ORT_DYLIB_PATH"] = str(library)
