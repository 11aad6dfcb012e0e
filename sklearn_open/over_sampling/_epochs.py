"""How the classifier draws epochs from an imbalanced-learn sampler of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone

from sklearn_open._random import keyed_seed
from sklearn_open.batching._dataset import ImageDataset
from sklearn_open.over_sampling._base import EpochSampler
from sklearn_open.over_sampling._pure_noise import DEFAULT_DELTA, PureNoiseOverSampler, check_delta
from sklearn_open.plan import Draw

__all__ = ["LabelDraw", "build_resampler", "draws_by_label", "rebalance"]


def build_resampler(resampler: Any, delta: float | None, params: dict[str, Any]) -> Any:
    """Return a sampler of its own for one fit, or None.

    Parameters
    ----------
    resampler : type, instance or None
        A class is constructed with `params`; an instance is cloned and `params` are set on it.
    delta : float or None
        The classifier's noise ratio; None leaves it to the sampler. ``resampler__delta`` overrules
        both.
    params : dict
        The classifier's ``resampler__...`` parameters.

    Raises
    ------
    ValueError
        For a `delta` that is no share, or that contradicts the instance's own.
    TypeError
        For something that cannot resample.
    """
    if delta is not None:
        check_delta(delta)
    if resampler is None:
        return None
    if not hasattr(resampler, "fit_resample"):
        raise TypeError(
            f"resampler={resampler!r} has no fit_resample. Pass a sampler of imbalanced-learn "
            "(class or instance), PureNoiseOverSampler, or None for plain training."
        )
    if params.get("delta", 0) is None:  # not set, as everywhere
        params = {name: value for name, value in params.items() if name != "delta"}
    if isinstance(resampler, type):
        if issubclass(resampler, PureNoiseOverSampler):
            params = {"delta": DEFAULT_DELTA if delta is None else delta, **params}
        sampler = resampler(**params)
    else:
        if isinstance(resampler, PureNoiseOverSampler) and "delta" not in params:
            params = {"delta": _one_delta(resampler, delta), **params}
        sampler = clone(resampler).set_params(**params)
    if isinstance(sampler, EpochSampler):
        sampler.check()
    return sampler


def _one_delta(resampler: PureNoiseOverSampler, delta: float | None) -> float:
    """Return the noise ratio that was set: the classifier's or the instance's."""
    if resampler.delta is None:
        return DEFAULT_DELTA if delta is None else delta
    if delta is not None and delta != resampler.delta:
        raise ValueError(
            f"delta={delta} contradicts resampler={resampler!r}, whose delta is {resampler.delta}. "
            "Set one of them: pass delta=None (the default), or a resampler without it."
        )
    return resampler.delta


def rebalance(sampler: Any, data: ImageDataset, seed: int) -> tuple[ImageDataset, Draw | None]:
    """Return the rows to train on and what draws rebalanced data sets from them.

    Parameters
    ----------
    sampler : imbalanced-learn sampler or None
        See `build_resampler`.
    data : ImageDataset
        Training rows.
    seed : int
        Root seed of the run.

    Returns
    -------
    data : ImageDataset
        The rows, followed by synthetic ones if the sampler makes any.
    draw : callable or None
        See `EpochPlanner`.
    """
    if sampler is None or len(np.unique(data.codes)) < 2:  # a chunk may hold a single class
        return data, None
    if draws_by_label(sampler):
        draw = LabelDraw(sampler, data.y)
        draw(np.random.RandomState(0))  # what cannot be drawn fails now, not at start_epoch
        return data, draw
    data = ImageDataset(np.asarray(data.X), data.codes, data.y)  # reads a data set into memory
    made = _synthesize(sampler, data, seed)
    rows = (np.concatenate(pair) for pair in zip(data.arrays, made, strict=True))
    return ImageDataset(*rows), FixedPool(len(data), len(data) + len(made[0]))


def draws_by_label(sampler: Any) -> bool:
    """Whether a sampler picks rows by label alone, so that every epoch can have its own draw."""
    if isinstance(sampler, RandomOverSampler):
        return sampler.shrinkage is None
    return isinstance(sampler, (EpochSampler, RandomUnderSampler))


@dataclass(frozen=True)
class LabelDraw:
    """Draws a rebalanced data set from labels."""

    sampler: Any
    y: np.ndarray

    def __call__(self, random_state: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return row indices and noise mask."""
        if isinstance(self.sampler, EpochSampler):
            return self.sampler.draw(self.y, random_state)
        sampler = clone(self.sampler).set_params(random_state=random_state)
        sampler.fit_resample(np.arange(len(self.y))[:, None], self.y)
        return _all_natural(np.asarray(sampler.sample_indices_))


@dataclass(frozen=True)
class FixedPool:
    """The rebalanced data set of a sampler that looked at the pixels, made once."""

    start: int
    stop: int

    def __call__(self, random_state: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return row indices and noise mask."""
        return _all_natural(np.arange(self.start, self.stop))


def _all_natural(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return index, np.zeros(len(index), dtype=bool)


def _synthesize(
    sampler: Any, data: ImageDataset, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run a sampler that works on pixels once, on rows laid flat; return X, codes and y."""
    if sampler.get_params().get("random_state", 0) is None:
        sampler.set_params(random_state=keyed_seed(seed, "resampler"))
    X, codes, y = data.arrays
    # In floats: samplers that interpolate subtract pixels, and uint8 would wrap around.
    X_new, y_new = sampler.fit_resample(X.reshape(len(X), -1).astype(np.float32), y)
    if X.dtype == np.uint8:
        X_new = np.clip(np.rint(X_new), 0, 255)
    labels, first = np.unique(y, return_index=True)
    codes_new = codes[first][np.searchsorted(labels, y_new)]
    return X_new.reshape(-1, *X.shape[1:]).astype(X.dtype), codes_new, y_new
