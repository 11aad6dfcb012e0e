"""The plan of an epoch: which rows are seen, which of them as noise, in which batch.

NumPy only, and a pure function of (labels, settings, seed, epoch): any epoch's plan can be made,
printed and checked without running the epochs before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from sklearn_open._checks import is_number, is_whole
from sklearn_open._random import keyed_random_state

__all__ = [
    "Draw",
    "EpochPlan",
    "EpochPlanner",
    "check_epoch",
    "draw_pool",
    "rank_part",
    "resolve_epoch",
]

EPOCH_LENGTHS = ("n_samples", "resampled")
# A batch's natural rows give the statistics that batch norm learns: one row has no spread.
MIN_NATURAL_ROWS = 2

Draw = Callable[[np.random.RandomState], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class EpochPlan:
    """Rows of one epoch in the order they are seen, natural rows first in every batch.

    Attributes
    ----------
    index : numpy.ndarray of shape (n_rows,)
        Row of the training set. For a noise row: a row of its class, whose label it takes. Rows
        past the training set's are those that a resampler such as SMOTE has made.
    is_noise : numpy.ndarray of shape (n_rows,), dtype bool
        Whether the row's image is replaced with pure noise.
    bounds : numpy.ndarray of shape (n_batches + 1,)
        Batch ``b`` is rows ``bounds[b]`` to ``bounds[b + 1]``.
    """

    index: np.ndarray
    is_noise: np.ndarray
    bounds: np.ndarray

    @property
    def n_batches(self) -> int:
        """Number of batches."""
        return len(self.bounds) - 1

    @property
    def noise_share(self) -> float:
        """Share of the epoch's rows that are noise."""
        return float(self.is_noise.mean())

    def batches(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield ``(index, n_noise)`` of each batch; the last `n_noise` rows are noise."""
        for start, stop in zip(self.bounds[:-1], self.bounds[1:], strict=True):
            yield self.index[start:stop], int(self.is_noise[start:stop].sum())


def draw_pool(
    codes: np.ndarray,
    n_new: Mapping[int, int],
    delta: float,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rebalanced data set of section 3.1: originals, then each class's new rows.

    Class c gets ``n_new[c]`` new rows, of which ``round(delta * n_new[c])`` are pure noise and the
    rest duplicates of its own rows.

    Parameters
    ----------
    codes : numpy.ndarray of shape (n,)
        Class of every original row.
    n_new : mapping of int to int
        New rows per class, n_max - n_c in the paper.
    delta : float
        Share of the new rows that is noise, in [0, 1].
    random_state : numpy.random.RandomState
        The numbers drawn do not depend on `delta`, and are those that imbalanced-learn's
        `RandomOverSampler` draws: with ``delta=0`` the result is the same as its.

    Returns
    -------
    index : numpy.ndarray of shape (n + sum of n_new,)
        Row of the original data; of a noise row, the duplicate that it replaces.
    is_noise : numpy.ndarray of the same shape, dtype bool
    """
    index, is_noise = [np.arange(len(codes))], [np.zeros(len(codes), dtype=bool)]
    for code, count in n_new.items():
        rows = np.flatnonzero(codes == code)
        index.append(random_state.choice(rows, size=count))
        is_noise.append(np.arange(count) < round(delta * count))
    return np.concatenate(index), np.concatenate(is_noise)


def check_epoch(name: str, value: Any) -> None:
    """Raise ValueError unless `value` is a number of epochs (int) or a share of them (float)."""
    largest = np.inf if is_whole(value) else 1
    if is_number(value) and 0 <= float(value) <= largest:
        return
    raise ValueError(
        f"{name}={value!r} is not an epoch. Pass an int of 0 or more for a number of epochs, or a "
        "float from 0 to 1 for a share of max_epochs."
    )


def resolve_epoch(value: int | float, max_epochs: int) -> int:
    """Turn an epoch given as a number of epochs (int) or a share of them (float) into an int.

    A share is rounded down, so that a short training that is to change at 0.8 still changes.
    """
    if isinstance(value, Integral):
        return int(value)
    return int(np.floor(value * max_epochs + 1e-9))  # 0.29 * 100 is 28.999999999999996


@dataclass(frozen=True)
class EpochPlanner:
    """Makes the plan of any epoch.

    Parameters
    ----------
    codes : numpy.ndarray of shape (n,)
        Classes 0 to n_classes - 1 of the training rows.
    draw : callable or None
        ``draw(random_state) -> (index, is_noise)``, a rebalanced data set to take epochs from
        (see `draw_pool`); None for plain training throughout.
    start_epoch : int
        First rebalanced epoch; earlier ones visit every training row once.
    batch_size : int
        Largest number of rows in a batch (of batches of two, one has three rows if need be).
    seed : int
        Root seed of the run.
    delta : float
        Noise ratio; read by ``composition="bernoulli"`` only.
    composition : {"even", "bernoulli", "appended"}, default="even"
        "even": rows of the rebalanced data set without replacement, and the epoch's noise rows
        dealt evenly over its batches. "bernoulli": Algorithm 1 literally; classes uniform, rows
        uniform within a class, each replaced with noise with probability (1 - rho) * delta (Eq. 1).
        "appended": every training row once, in the order of an epoch without noise, and the noise
        rows of `draw` dealt evenly on top (section 5); `batch_size` counts natural rows only.
    epoch_length : {"n_samples", "resampled"}, default="n_samples"
        Rows of a rebalanced epoch: as many as the training set has, so that an epoch costs what it
        did before; or the whole rebalanced data set.
    """

    codes: np.ndarray
    draw: Draw | None
    start_epoch: int
    batch_size: int
    seed: int
    delta: float = 0.0
    composition: str = "even"
    epoch_length: str = "n_samples"

    def plan(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch (0 is the first)."""
        if not is_whole(epoch) or epoch < 0:
            raise ValueError(f"epoch={epoch!r} is not the number of an epoch: pass 0, 1, 2, ...")
        rng = keyed_random_state(self.seed, "plan", epoch)
        if self.draw is None or self.is_plain(epoch):
            return _plain(self, rng)
        return COMPOSITIONS[self.composition](self, self.draw, rng)

    def is_plain(self, epoch: int) -> bool:
        """Whether an epoch visits every training row once."""
        return self.draw is None or epoch < self.start_epoch

    def pool(self, random_state: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that epochs are taken from: indices, and which of them are noise."""
        if self.draw is None:
            index = np.arange(len(self.codes))
            return index, np.zeros(len(index), dtype=bool)
        index, is_noise = self.draw(random_state)
        if self.composition != "appended":
            return index, is_noise
        kept = is_noise | (np.arange(len(index)) < len(self.codes))  # no duplicates
        return index[kept], is_noise[kept]

    def n_batches(self, n_rows: int) -> int:
        """Return how many batches a number of rows is dealt into."""
        n_batches = -(-n_rows // self.batch_size)
        if self.batch_size > 1 and n_rows < 2 * n_batches:
            return max(1, n_rows // 2)  # batches of two, of an odd number: no row is left alone
        return n_batches

    def n_rows(self, n_pool: int) -> int:
        """Return how many rows an epoch has that is taken from a pool of `n_pool`."""
        return n_pool if self.epoch_length == "resampled" else min(n_pool, len(self.codes))


# --- several ranks: each takes its part of every batch ---


def rank_part(n_natural: int, n_noise: int, rank: int, n_ranks: int) -> tuple[slice, slice]:
    """Return which natural rows and which noise rows of a batch are a rank's.

    Parameters
    ----------
    n_natural, n_noise : int
        Rows of the whole batch, natural rows first.
    rank : int
        From 0 to `n_ranks` - 1.
    n_ranks : int
        How many share the batch.

    Returns
    -------
    natural, noise : slice
        Of the natural rows, and of the noise rows. Those of all ranks are disjoint and complete.
        The first ranks have the larger parts of natural rows and the last ones those of noise rows,
        so that ranks differ by one row in all, at most.
    """
    natural = _even_bounds(n_natural, n_ranks)
    noise = n_noise - _even_bounds(n_noise, n_ranks)[::-1]
    return slice(*natural[rank : rank + 2].tolist()), slice(*noise[rank : rank + 2].tolist())


# --- compositions: from a rebalanced data set to the plan of an epoch ---


def _plain(planner: EpochPlanner, rng: np.random.RandomState) -> EpochPlan:
    index = rng.permutation(len(planner.codes))
    return _deal(index, np.zeros(len(index), dtype=bool), planner.n_batches(len(index)))


def _even(planner: EpochPlanner, draw: Draw, rng: np.random.RandomState) -> EpochPlan:
    index, is_noise = draw(rng)
    drawn = rng.permutation(len(index))[: planner.n_rows(len(index))]
    index, is_noise = index[drawn], is_noise[drawn]
    n_batches = planner.n_batches(len(index))
    needed = min(MIN_NATURAL_ROWS * n_batches, len(index))
    return _deal(index, _keep_natural(is_noise, needed), n_batches)


def _bernoulli(planner: EpochPlanner, draw: Draw, rng: np.random.RandomState) -> EpochPlan:
    pool_index, _ = draw(rng)
    codes, counts = planner.codes, np.bincount(planner.codes)
    balanced = np.bincount(codes[pool_index], minlength=len(counts))
    weights = balanced[codes] / counts[codes]
    n_rows = planner.n_rows(len(pool_index))
    index = rng.choice(len(codes), size=n_rows, p=weights / weights.sum())
    drawn = codes[index]
    rho = counts[drawn] / balanced[drawn]  # n_c / n_max for the default strategy
    is_noise = rng.uniform(size=n_rows) < (1 - rho) * planner.delta
    bounds = _even_bounds(n_rows, planner.n_batches(n_rows))
    for start, stop in pairwise(bounds):
        needed = min(MIN_NATURAL_ROWS, stop - start)
        is_noise[start:stop] = _keep_natural(is_noise[start:stop], needed)
    return _natural_first(index, is_noise, bounds)


def _appended(planner: EpochPlanner, draw: Draw, rng: np.random.RandomState) -> EpochPlan:
    natural = rng.permutation(len(planner.codes))
    index, is_noise = draw(rng)
    rows = np.concatenate([natural, index[is_noise]])
    return _deal(rows, np.arange(len(rows)) >= len(natural), planner.n_batches(len(natural)))


COMPOSITIONS: dict[str, Callable[[EpochPlanner, Draw, np.random.RandomState], EpochPlan]] = {
    "even": _even,
    "bernoulli": _bernoulli,
    "appended": _appended,
}


# --- dealing rows into batches ---


def _keep_natural(is_noise: np.ndarray, needed: int) -> np.ndarray:
    """Turn the last noise rows back into the duplicates they replaced, if too few are natural."""
    missing = needed - np.count_nonzero(~is_noise)
    if missing <= 0:
        return is_noise
    is_noise = is_noise.copy()
    is_noise[np.flatnonzero(is_noise)[-missing:]] = False
    return is_noise


def _even_bounds(n_rows: int, n_batches: int) -> np.ndarray:
    """Batches of floor or ceil of n_rows / n_batches rows: never a lone last row."""
    sizes = np.full(n_batches, n_rows // n_batches)
    sizes[: n_rows % n_batches] += 1
    return np.concatenate([[0], np.cumsum(sizes)])


def _deal(index: np.ndarray, is_noise: np.ndarray, n_batches: int) -> EpochPlan:
    """Give every batch floor or ceil of its share of the noise rows, natural rows first."""
    bounds = _even_bounds(len(index), n_batches)
    noise_bounds = _even_bounds(int(is_noise.sum()), n_batches)
    # Larger batches take the larger noise shares, so natural shares differ by one row at most.
    natural_bounds = bounds - noise_bounds
    natural, noise = index[~is_noise], index[is_noise]
    dealt, flags = np.empty_like(index), np.zeros(len(index), dtype=bool)
    for b in range(n_batches):
        middle = bounds[b] + natural_bounds[b + 1] - natural_bounds[b]
        dealt[bounds[b] : middle] = natural[natural_bounds[b] : natural_bounds[b + 1]]
        dealt[middle : bounds[b + 1]] = noise[noise_bounds[b] : noise_bounds[b + 1]]
        flags[middle : bounds[b + 1]] = True
    return EpochPlan(dealt, flags, bounds)


def _natural_first(index: np.ndarray, is_noise: np.ndarray, bounds: np.ndarray) -> EpochPlan:
    batch = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    order = np.lexsort((is_noise, batch))  # stable: by batch, then natural before noise
    return EpochPlan(index[order], is_noise[order], bounds)
