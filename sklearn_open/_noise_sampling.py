"""What the samplers that make noise rows have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from imblearn.utils import check_target_type
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from sklearn_open._pixels import PixelStatistics
from sklearn_open._random import keyed_generator
from sklearn_open._validation import Layout
from sklearn_open.noise import ImageNoiseFamily, check_noise

__all__ = ["NoiseSampler"]


class NoiseSampler:
    """A sampler some of whose rows are noise; mixed in before imbalanced-learn's base class.

    `OPeNClassifier` takes epochs from its `draw`, and its noise from `noise`.
    """

    noise: Any
    random_state: Any

    @property
    def makes_noise(self) -> bool:
        """Whether any row can be noise."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise ValueError for a parameter that cannot be used."""
        check_noise(self.noise)

    def draw(
        self, y: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw rows from labels alone: indices of rows, and which of them are noise."""
        raise NotImplementedError

    def _check_X_y(
        self, X: Any, y: Any, accept_sparse: Any = None
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        y, binarize_y = check_target_type(y, indicate_one_vs_all=True)
        if hasattr(X, "columns") and hasattr(X, "sparse"):  # a data frame of sparse columns
            X = X.sparse.to_dense()
        X, y = validate_data(self, X=X, y=y, reset=True, allow_nd=True)
        self.n_features_in_ = int(np.prod(X.shape[1:]))  # sklearn counts the first axis only
        return X, y, binarize_y

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
            if isinstance(family, ImageNoiseFamily):
                drawn = scale.to_unit(torch.as_tensor(resampled[self.noise_mask_]))
                noise = family.sample_from(drawn, labels, generator)
            else:
                noise = family.sample(labels, images.shape[1:], generator)
            resampled[self.noise_mask_] = scale.to_raw(noise, X.dtype)
        return layout.restore(resampled), y[self.sample_indices_]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.sparse = False
        tags.sampler_tags.sample_indices = True
        return tags
