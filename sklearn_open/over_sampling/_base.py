"""What samplers have in common that the classifier takes epochs from, and those that make noise."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from imblearn.utils import check_sampling_strategy, check_target_type
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import validate_data

from sklearn_open._inputs.containers import as_rows
from sklearn_open._inputs.door import in_memory
from sklearn_open._inputs.images import check_kind
from sklearn_open._inputs.labels import check_labels
from sklearn_open._inputs.layout import Layout
from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open._random import keyed_generator
from sklearn_open.noise._names import check_noise
from sklearn_open.plan import draw_pool

__all__ = ["EpochSampler", "NoiseSampler", "draw_over_sampled"]

LARGEST = 1e150  # its square is still a float64


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


class EpochSampler:
    """A sampler that draws by label alone; mixed in before imbalanced-learn's base class.

    `OPeNClassifier` takes epochs from its `draw`. What is given to `fit_resample` may be images in
    any layout.
    """

    random_state: Any
    composition: ClassVar[str | None] = None  # how epochs are made of draws; None: as wanted
    translates: ClassVar[bool] = False  # whether rows are replaced by images made of others

    @property
    def makes_noise(self) -> bool:
        """Whether any row can be noise."""
        return False

    def check(self) -> None:
        """Raise ValueError for a parameter that cannot be used."""

    def draw(
        self, y: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from labels alone: indices of rows, and which of them are noise."""
        raise NotImplementedError

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
        X, y = in_memory(X, y, type(self).__name__)
        rows, labels = as_rows(X), check_labels(y)
        # imbalanced-learn gives lists and pandas's types back as such.
        return super().fit_resample(  # type: ignore[misc]
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = False
        tags.sampler_tags.sample_indices = True
        return tags


def draw_over_sampled(
    sampler: Any, y: np.ndarray, delta: float, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rows of an over-sampler of imbalanced-learn, some as noise; see `draw_pool`.

    Parameters
    ----------
    sampler : over-sampler
        Its `sampling_strategy` says which classes get how many rows.
    y : ndarray of shape (n_samples,)
        Labels.
    delta : float
        Share of the new rows that is noise.
    random_state : numpy.random.RandomState
        Source of all randomness.
    """
    classes, codes = np.unique(y, return_inverse=True)
    strategy = check_sampling_strategy(sampler.sampling_strategy, y, "over-sampling")
    n_new = {int(np.flatnonzero(classes == label)[0]): n for label, n in strategy.items()}
    return draw_pool(codes, n_new, delta, random_state)


class NoiseSampler(EpochSampler):
    """A sampler some of whose rows are noise, drawn from `noise`."""

    noise: Any

    @property
    def makes_noise(self) -> bool:
        """Whether any row can be noise."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise ValueError for a parameter that cannot be used."""
        check_noise(self.noise)

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
            replaced = None
            if family.from_images:
                replaced = scale.to_unit(torch.as_tensor(resampled[self.noise_mask_]))
            noise = family.replacements(labels, images.shape[1:], generator, replaced)
            raw = scale.to_raw(noise, X.dtype)
            raw[:, self._whole_columns] = np.rint(raw[:, self._whole_columns])
            resampled[self.noise_mask_] = raw
        return layout.restore(resampled), y[self.sample_indices_]
