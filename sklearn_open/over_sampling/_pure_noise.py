"""Over-sampling partly with pure noise, as an imbalanced-learn sampler."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler

from sklearn_open._checks import is_number
from sklearn_open.noise._base import NoiseFamily
from sklearn_open.over_sampling._base import NoiseSampler, draw_over_sampled

__all__ = ["DEFAULT_DELTA", "PureNoiseOverSampler", "check_delta"]

DEFAULT_DELTA = 1 / 3  # the paper's (D.1)


def check_delta(delta: Any) -> None:
    """Raise ValueError unless `delta` is a number in [0, 1]."""
    if not is_number(delta) or not 0 <= float(delta) <= 1:
        raise ValueError(
            f"delta={delta!r} is not a share. It is the part of the added samples that is pure "
            "noise: pass a number from 0 (none) to 1 (all); the paper uses 1/3."
        )


class PureNoiseOverSampler(NoiseSampler, BaseOverSampler):
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
    delta : float or None, default=None
        Share of the new rows that is noise, in [0, 1]; 0 is random over-sampling. None is 1/3, the
        paper's, or what an `OPeNClassifier` that this sampler is passed to has as its own `delta`.
    noise : {"gaussian", "uniform", "class_gaussian", "additive"} or NoiseFamily, default="gaussian"
        What noise is drawn from. "gaussian" is the paper's: per channel (per column of a table)
        the mean and deviation of the training set, clipped to its feasible range (Eq. 2-4).
        "class_gaussian" takes the statistics of the row's class, "uniform" the whole range.
        "additive" adds noise to the duplicate that the row replaces, see `AdditiveGaussianNoise`.
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
        delta: float | None = None,
        noise: str | NoiseFamily = "gaussian",
        random_state: Any = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.delta = delta
        self.noise = noise
        self.random_state = random_state

    @property
    def makes_noise(self) -> bool:
        """Whether any row can be noise."""
        return self._delta > 0

    @property
    def _delta(self) -> float:
        return DEFAULT_DELTA if self.delta is None else self.delta

    def check(self) -> None:
        """Raise ValueError for a parameter that cannot be used."""
        check_delta(self._delta)
        super().check()

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
        check_delta(self._delta)
        return draw_over_sampled(self, y, self._delta, random_state)
