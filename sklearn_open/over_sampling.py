"""Over-sampling partly with pure noise, as an imbalanced-learn sampler."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_sampling_strategy, check_target_type
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import validate_data

from sklearn_open._inputs import as_rows, is_dataset
from sklearn_open._pixels import PixelStatistics
from sklearn_open._random import keyed_generator
from sklearn_open._validation import Layout, check_kind, check_labels
from sklearn_open.noise import NoiseFamily, check_noise
from sklearn_open.plan import draw_pool

__all__ = ["PureNoiseOverSampler", "check_delta"]

LARGEST = 1e150  # its square is still a float64


def check_delta(delta: Any) -> None:
    """Raise ValueError unless `delta` is a number in [0, 1]."""
    if isinstance(delta, bool) or not isinstance(delta, Real) or not 0 <= float(delta) <= 1:
        raise ValueError(
            f"delta={delta!r} is not a share. It is the part of the added samples that is pure "
            "noise: pass a number from 0 (none) to 1 (all); the paper uses 1/3."
        )


def _checked_one_hot(y: Any) -> Any:
    """Return labels; of one-hot rows, refuse those of no class, or of a share of one."""
    y = y if hasattr(y, "tocsr") else np.asarray(y)
    if type_of_target(y) == "multilabel-indicator":
        bad = np.flatnonzero(np.asarray(y.sum(axis=1)).ravel() != 1)
        if len(bad):
            raise ValueError(
                f"y is one-hot, with {len(bad)} rows that are not of exactly one class, the first "
                f"of them row {bad[0]}. Multilabel targets are not supported."
            )
    return y


def _whole_columns(X: Any) -> list[int]:
    """Return which columns of a data frame are integers or booleans, though others are not."""
    if not hasattr(X, "iloc") or not hasattr(X, "columns"):
        return []
    return [i for i, dtype in enumerate(X.dtypes) if getattr(dtype, "kind", "f") in "biu"]


def _of_pandas_or_array(X: Any) -> Any:
    is_polars = hasattr(X, "columns") and not hasattr(X, "iloc")
    return X.to_numpy() if is_polars else X


def _check_size(X: np.ndarray) -> None:
    if X.size == 0:
        raise ValueError(f"X has shape {X.shape}: its images have no pixels.")
    if X.dtype.kind == "f" and max(float(X.max()), -float(X.min())) > LARGEST:
        raise ValueError(
            f"X holds values beyond {LARGEST:g}, whose deviation is too large to be computed. "
            "Divide X by a constant."
        )


class PureNoiseOverSampler(BaseOverSampler):
    r"""Over-sample minority classes with duplicates and pure noise images (OPeN).

    The rebalanced data set of section 3.1: class :math:`c` gets
    :math:`n^*_c = n_{max} - n_c` new rows, ``round(delta * n*)`` of them pure noise with the label
    of the class, the rest duplicates of its own rows. Drawn once; `OPeNClassifier` draws anew for
    every epoch and trains noise rows on a route of their own.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes get how many rows, as for every over-sampler of imbalanced-learn. "auto"
        fills all classes up to the largest.
    delta : float, default=1/3
        Share of the new rows that is noise, in [0, 1]; 0 is random over-sampling.
    noise : {"gaussian", "uniform", "class_gaussian"} or NoiseFamily, default="gaussian"
        What noise is drawn from. "gaussian" is the paper's: per channel (per column of a table)
        the mean and deviation of the training set, clipped to its feasible range (Eq. 2-4).
        "class_gaussian" takes the statistics of the row's class, "uniform" the whole range.
    random_state : int, RandomState instance or None, default=None
        Fixes the rows duplicated and the noise.

    Attributes
    ----------
    sampling_strategy_ : dict
        New rows per class.
    sample_indices_ : ndarray of shape (n_samples_new,)
        Row of `X` that each returned row was copied from; for a noise row, the row that it
        replaced. Always a valid index.
    noise_mask_ : ndarray of shape (n_samples_new,), dtype bool
        True for noise rows.
    noise_mean_, noise_std_ : ndarray of shape (n_channels,)
        Statistics of the training set (Eq. 2) in the units of `X`; of each column for a table.
    n_features_in_ : int
        Number of values in a row.

    See Also
    --------
    imblearn.over_sampling.RandomOverSampler : Duplicates only; equal to ``delta=0``.
    OPeNClassifier : Uses this sampler epoch by epoch.

    Notes
    -----
    uint8 pixels lie in [0, 255] and floats that all lie in [0, 1] keep to it; any other data is
    clipped to the range seen (over all pixels of images, in each column of a table). Integers are
    rounded. With one `random_state`, the duplicates do not depend on `delta`.

    References
    ----------
    .. [1] S. Zada, I. Benou, M. Irani, "Pure Noise to the Rescue of Insufficient Data: Improving
       Imbalanced Classification by Training on Random Noise Images", ICML 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_open import PureNoiseOverSampler
    >>> X = np.random.RandomState(0).randint(0, 256, (8, 3, 4, 4), dtype=np.uint8)
    >>> y = [0, 0, 0, 0, 0, 0, 0, 1]
    >>> sampler = PureNoiseOverSampler(delta=1 / 2, random_state=0)
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> X_res.shape, X_res.dtype
    ((14, 3, 4, 4), dtype('uint8'))
    >>> int(sampler.noise_mask_.sum())
    3
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseOverSampler._parameter_constraints,
        "delta": "no_validation",  # checked with a message that says what it is
        "noise": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        delta: float = 1 / 3,
        noise: str | NoiseFamily = "gaussian",
        random_state: Any = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.delta = delta
        self.noise = noise
        self.random_state = random_state

    def fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        """Return the rows given, followed by those that are added.

        Parameters
        ----------
        X : array-like, torch.Tensor or data frame
            A table (n, n_features) or images (n, height, width), (n, height, width, n_channels)
            or (n, n_channels, height, width), of real numbers; or a list of PIL images.
        y : array-like of shape (n,)
            Labels, or one-hot rows (n, n_classes).
        **params : dict
            Not used.

        Returns
        -------
        X_resampled : ndarray, list or pandas.DataFrame of shape (n_samples_new, ...)
            In the layout and dtype of `X`; a list (of lists) for a list, and a data frame for one
            of pandas.
        y_resampled : array-like of shape (n_samples_new,)
            Labels of the rows, those of noise rows included.

        Raises
        ------
        ValueError, TypeError
            For missing labels, NaN, masked values and anything scikit-learn refuses.
        """
        if is_dataset(X):
            raise TypeError(
                f"X is a {type(X).__name__}, a data set, which is not held in memory. Pass an "
                "array here; OPeNClassifier reads data sets while training."
            )
        rows, labels = as_rows(X), check_labels(y)
        # imbalanced-learn gives lists and pandas's types back as such.
        return super().fit_resample(
            X if isinstance(X, list) else _of_pandas_or_array(rows),
            y if hasattr(y, "iloc") else labels,
            **params,
        )

    def _check_X_y(
        self, X: Any, y: Any, accept_sparse: Any = None
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        self._whole_columns = _whole_columns(X)
        X = as_rows(X)
        check_kind(X)
        y = _checked_one_hot(check_labels(y))
        y, binarize_y = check_target_type(y, indicate_one_vs_all=True)
        if hasattr(X, "columns") and hasattr(X, "sparse"):  # a data frame of sparse columns
            X = X.sparse.to_dense()
        X, y = validate_data(self, X=X, y=y, reset=True, allow_nd=True)
        _check_size(X)
        self.n_features_in_ = int(np.prod(X.shape[1:]))  # sklearn counts the first axis only
        return X, y, binarize_y

    def draw(
        self, y: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw which rows to duplicate and which to replace with noise, from labels alone.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Labels.
        random_state : numpy.random.RandomState
            Source of all randomness.

        Returns
        -------
        sample_indices : ndarray of shape (n_samples_new,)
        noise_mask : ndarray of shape (n_samples_new,), dtype bool
        """
        check_delta(self.delta)
        classes, codes = np.unique(y, return_inverse=True)
        strategy = check_sampling_strategy(self.sampling_strategy, y, self._sampling_type)
        n_new = {int(np.flatnonzero(classes == label)[0]): n for label, n in strategy.items()}
        return draw_pool(codes, n_new, self.delta, random_state)

    def _fit_resample(self, X: np.ndarray, y: np.ndarray, **_: Any) -> tuple[Any, np.ndarray]:
        random_state = check_random_state(self.random_state)
        self.sample_indices_, self.noise_mask_ = self.draw(y, random_state)
        layout = Layout.of(X.shape)
        images = layout.channels_first(X)
        statistics = PixelStatistics.of(images)
        scale = statistics.scale
        self.noise_mean_ = statistics.mean * scale.width + scale.low
        self.noise_std_ = statistics.std * scale.width

        resampled = images[self.sample_indices_]
        if self.noise_mask_.any():
            codes = np.unique(y, return_inverse=True)[1]
            labels = torch.as_tensor(codes[self.sample_indices_[self.noise_mask_]])
            family = check_noise(self.noise).fit(images, codes, statistics)
            generator = keyed_generator("cpu", random_state.randint(2**31 - 1), "noise")
            noise = family.sample(labels, images.shape[1:], generator)
            raw = scale.to_raw(noise, X.dtype)
            raw[:, self._whole_columns] = np.rint(raw[:, self._whole_columns])
            resampled[self.noise_mask_] = raw
        return layout.restore(resampled), y[self.sample_indices_]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.sampler_tags.sample_indices = True
        return tags
