"""Pure noise as a general augmentation: a share of noise rows on top of every batch (section 5)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler

from sklearn_open._checks import check_one_of, is_number
from sklearn_open.noise._base import NoiseFamily
from sklearn_open.over_sampling._base import NoiseSampler

__all__ = ["PureNoiseAppender", "check_ratio", "complementary"]

LABELS = ("uniform", "complementary")


def check_ratio(ratio: Any) -> None:
    """Raise ValueError unless `ratio` is a finite number of 0 or more."""
    if not is_number(ratio) or not 0 <= float(ratio) < np.inf:
        raise ValueError(
            f"ratio={ratio!r} is not a ratio of noise to real rows. Pass a number of 0 (none) or "
            "more; the paper's 1:4 is 1/4."
        )


def complementary(counts: np.ndarray) -> np.ndarray:
    """Return the distribution that complements that of the training rows: small classes get most.

    Parameters
    ----------
    counts : ndarray of shape (n_classes,)
        Training rows of each class.

    Returns
    -------
    ndarray of shape (n_classes,)
        Proportional to ``counts.max() + counts.min() - counts``, of sum 1.
    """
    weights = counts.max() + counts.min() - counts
    return np.asarray(weights / weights.sum())


class PureNoiseAppender(NoiseSampler, BaseOverSampler):
    """Append pure noise to a data set that need not be imbalanced.

    Section 5 of the paper: noise as an augmentation beside all others. All rows are kept as they
    are, and ``round(ratio * n_samples)`` noise rows follow, each with a label drawn from the
    classes. As the `resampler` of `OPeNClassifier`, from `start_epoch` on every epoch visits
    all training rows once, `batch_size` to a batch at most, and every batch has noise rows on top
    in the same ratio, to the floor or the ceiling; labels and noise are new in every epoch.

    Parameters
    ----------
    ratio : float, default=1/4
        Noise rows for each real row: 1/4 is the paper's "noise-to-real ratio of 1:4", a batch of
        128 real and 32 noise rows.
    noise : str or NoiseFamily, default="gaussian"
        What noise is drawn from; see `PureNoiseOverSampler`.
    noise_labels : {"uniform", "complementary"}, default="uniform"
        How the labels of noise rows are drawn: all classes alike, or by the distribution that
        complements that of the training rows (Open-Sampling [1]_, Definition 1): class c with a
        probability proportional to ``max(n) + min(n) - n_c``, so that small classes get most.
    random_state : int, RandomState instance or None, default=None
        Fixes labels and noise.

    Attributes
    ----------
    sampling_strategy_ : dict
        Noise rows per class.
    sample_indices_ : ndarray of shape (n_samples_new,)
        Row of `X` that each returned row was copied from; for a noise row, a row with its label.
    noise_mask_ : ndarray of shape (n_samples_new,), dtype bool
        True for noise rows.
    noise_mean_, noise_std_ : ndarray of shape (n_channels,)
        Statistics of the training set (Eq. 2) in the units of `X`; of each column for a table.
    n_features_in_ : int
        Number of values in a row.

    See Also
    --------
    PureNoiseOverSampler : Balances the classes, partly with noise.

    Notes
    -----
    The paper says "1:4 in each batch" and leaves open whether that is a share of the batch or comes
    on top, and how labels are drawn. This is what a public reproduction does: on top, and uniform.
    `delta`, `composition` and `epoch_length` of the classifier play no part.

    It is a sampler of imbalanced-learn in all but one thing: it balances nothing, so it has no
    parameter ``sampling_strategy``.

    References
    ----------
    .. [1] Wei et al. "Open-Sampling: Exploring Out-of-Distribution Data for Re-balancing
       Long-tailed Datasets", ICML 2022. Its rows are images of other data, and are weighted; here
       they are noise.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_open.over_sampling import PureNoiseAppender
    >>> X = np.random.RandomState(0).rand(8, 3, 4, 4)
    >>> X_res, y_res = PureNoiseAppender(random_state=0).fit_resample(X, [0, 1] * 4)
    >>> X_res.shape
    (10, 3, 4, 4)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "ratio": "no_validation",  # checked with a message that says what it is
        "noise": "no_validation",
        "noise_labels": "no_validation",
        "random_state": ["random_state"],
    }
    sampling_strategy = "all"  # what imbalanced-learn looks at before `_fit_resample`
    composition = "appended"

    def __init__(
        self,
        *,
        ratio: float = 1 / 4,
        noise: str | NoiseFamily = "gaussian",
        noise_labels: str = "uniform",
        random_state: Any = None,
    ) -> None:
        self.ratio = ratio
        self.noise = noise
        self.noise_labels = noise_labels
        self.random_state = random_state

    @property
    def makes_noise(self) -> bool:
        """Whether any row can be noise."""
        return self.ratio > 0

    def check(self) -> None:
        """Raise ValueError for a parameter that cannot be used."""
        check_ratio(self.ratio)
        check_one_of("noise_labels", self.noise_labels, LABELS)
        super().check()

    def draw(
        self, y: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the labels of the noise rows, and a row with that label for each.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
            Labels.
        random_state : numpy.random.RandomState
            Source of all randomness.

        Returns
        -------
        sample_indices : ndarray of shape (n_samples_new,)
            All rows in their order, then those of the noise rows.
        noise_mask : ndarray of shape (n_samples_new,), dtype bool
        """
        check_ratio(self.ratio)
        check_one_of("noise_labels", self.noise_labels, LABELS)
        _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
        n_noise = round(self.ratio * len(y))
        if self.noise_labels == "uniform":
            labels = random_state.randint(len(counts), size=n_noise)
        else:
            labels = random_state.choice(len(counts), size=n_noise, p=complementary(counts))
        nth_of_class = random_state.randint(counts[labels])
        starts = np.cumsum(counts) - counts
        rows = np.argsort(codes, kind="stable")[starts[labels] + nth_of_class]
        is_noise = np.arange(len(y) + n_noise) >= len(y)
        return np.concatenate([np.arange(len(y)), rows]), is_noise

    def _fit_resample(self, X: np.ndarray, y: np.ndarray, **_: Any) -> tuple[Any, np.ndarray]:
        X_resampled, y_resampled = super()._fit_resample(X, y)
        labels, counts = np.unique(y_resampled[self.noise_mask_], return_counts=True)
        self.sampling_strategy_ = dict(zip(labels.tolist(), counts.tolist(), strict=True))
        return X_resampled, y_resampled
