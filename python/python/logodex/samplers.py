"""What `logodex-train` draws, as samplers of `torch.utils.data`: the same draws for the same seed and epoch.

They give places of a fold, for `DataLoader(fold, …)`:

    >>> train = d.split("default").train
    >>> DataLoader(train, batch_sampler=PKSampler(train, batch=64, images_per_brand=4, seed=42))
    >>> DataLoader(train, batch_size=64, sampler=TripletSampler(train, seed=42))

Of triplets a sample is (pictures `[3, side, side, 3]`, labels `[3]`): anchor, positive, negative; of pairs the same with 2.

Every draw is a function of seed and epoch. An iteration that reaches its end is followed by the next epoch; `state_dict` says
where one is, and an iteration after `load_state_dict` goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, Optional, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._logodex import Fold
from .errors import UsageError

T = TypeVar("T")

if TYPE_CHECKING:

    class _Sampler(Generic[T]): ...

else:
    try:
        from torch.utils.data import Sampler as _Sampler
    except ImportError:

        class _Sampler(Generic[T]):
            """Without torch, an iterable of its own."""


class _Drawn(_Sampler[T]):
    _kind: str

    def __init__(self, fold: Fold, seed: int, batch: int = 0, images_per_brand: int = 0) -> None:
        self._fold = fold
        self._seed = seed
        self._batch = batch
        self._images_per_brand = images_per_brand
        self._epoch = 0
        self._done = 0
        # An epoch that cannot be drawn is told here, and the length is that of every epoch.
        self._length = len(self._draw())

    def _draw(self) -> NDArray[np.int64]:
        return self._fold.draw(self._kind, self._seed, self._epoch, self._batch, self._images_per_brand)

    def _sample(self, places: list[int]) -> T:
        raise NotImplementedError

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        epoch, drawn = self._epoch, self._draw().tolist()
        for done in range(self._done, len(drawn)):
            self._done = done + 1
            yield self._sample(drawn[done])
            if self._epoch != epoch:  # somebody chose another meanwhile
                return
        self.set_epoch(epoch + 1)

    def set_epoch(self, epoch: int) -> None:
        """The next iteration draws this epoch, from its begin."""
        self._epoch, self._done = epoch, 0

    def state_dict(self, *, epoch: Optional[int] = None, done: Optional[int] = None) -> dict[str, int]:
        """Where it is: `seed`, `epoch`, and how many samples (of P×K, batches) of the epoch are `done`.

        A `DataLoader` with workers draws ahead of what it has given: say then in which epoch you are and how many you had.
        """
        return {
            "seed": self._seed,
            "epoch": self._epoch if epoch is None else epoch,
            "done": self._done if done is None else done,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next iteration goes on from there.

        Raises:
            UsageError: the state of another seed.
        """
        if state["seed"] != self._seed:
            raise UsageError(f"the state is of seed {state['seed']}, and this sampler's is {self._seed}")
        self._epoch, self._done = state["epoch"], state["done"]


class TripletSampler(_Drawn["tuple[int, int, int]"]):
    """The paper's triplets: every row of a brand with another row is once an anchor; the positive is of its brand, in another
    source image where it has one, and the negative of a brand drawn uniformly.

    Gives (anchor, positive, negative), places of the fold.
    """

    _kind = "triplets"

    def __init__(self, fold: Fold, *, seed: int = 42) -> None:
        super().__init__(fold, seed)

    def _sample(self, places: list[int]) -> tuple[int, int, int]:
        anchor, positive, negative = places
        return anchor, positive, negative


class PairSampler(_Drawn["tuple[int, int]"]):
    """The paper's pairs: every row of a brand with another row is once a first; a fair coin decides between one brand and two.

    Gives (first, second), places of the fold; they are of one brand where their labels are equal.
    """

    _kind = "pairs"

    def __init__(self, fold: Fold, *, seed: int = 42) -> None:
        super().__init__(fold, seed)

    def _sample(self, places: list[int]) -> tuple[int, int]:
        first, second = places
        return first, second


class PKSampler(_Drawn["list[int]"]):
    """P×K batches with coverage: `batch` rows, `images_per_brand` of each brand side by side and of different source images.
    Over an epoch the numbers of batches that two brands are in differ by one at most.

    Gives lists of places of the fold: a `batch_sampler`.

    Raises:
        UsageError: `batch` is no multiple of `images_per_brand`, or needs more brands than the fold has.
    """

    _kind = "pk"

    def __init__(self, fold: Fold, *, batch: int = 64, images_per_brand: int = 4, seed: int = 42) -> None:
        if images_per_brand < 1 or batch < 1 or batch % images_per_brand != 0:
            raise UsageError(f"batch = {batch} is no multiple of images_per_brand = {images_per_brand}")
        super().__init__(fold, seed, batch, images_per_brand)

    def _sample(self, places: list[int]) -> list[int]:
        return places
