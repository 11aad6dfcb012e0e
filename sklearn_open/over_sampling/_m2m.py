"""M2m as an imbalanced-learn sampler: rows of small classes made of images of large ones."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from sklearn.base import clone
from sklearn.utils import check_random_state

from sklearn_open._checks import check_whole, is_number
from sklearn_open._inputs.layout import Layout
from sklearn_open._inputs.pixels import PixelScale, PixelStatistics
from sklearn_open._random import keyed_generator
from sklearn_open.over_sampling._base import EpochSampler, draw_over_sampled
from sklearn_open.over_sampling._teacher import (
    N_LOOKED_AT,
    check_logits,
    check_teacher,
    teacher_network,
)
from sklearn_open.over_sampling._translation import TranslationSettings, translate_rows

__all__ = ["M2mOverSampler"]

CHUNK = 128  # rows that are made at once


def _check_range(name: str, value: Any, low: float, high: float, what: str) -> None:
    if not is_number(value) or not low <= float(value) <= high:
        raise ValueError(f"{name}={value!r}: pass a number {what}.")


class M2mOverSampler(EpochSampler, BaseOverSampler):
    r"""Over-sample small classes with images of larger ones that a teacher takes for them (M2m).

    "Major-to-minor translation" [1]_: an image of a larger class is moved, step by step, until a
    network that was trained before, the teacher g, takes it for the small class, while the network
    in training, f, is to find less of the old class in it. As the `resampler` of `OPeNClassifier`,
    from `start_epoch` on the rows of every batch are balanced, and a row of class k is replaced by
    such an image with probability :math:`1 - n_k / n_{max}`:

    1. its seed is a row of the same batch, drawn by
       :math:`P(k_0, k) = 1 - \beta^{\max(n_{k_0} - n_k, 0)}`; without a larger class in the batch
       the row stays;
    2. the seed is moved `n_steps` times, `step_size` against the normalised gradient of
       :math:`\mathrm{CE}(g(x), k) + \lambda f_{k_0}(x)`, within [0, 1];
    3. the row is replaced if g gives k at least the probability `threshold`, and a second draw by
       :math:`P(k_0, k)` lets it pass.

    Both networks are in eval mode meanwhile; the mixed batch then trains f as any other batch does.
    A step costs about ten times that of plain training.

    Parameters
    ----------
    teacher : torch.nn.Module, estimator or None, default=None
        A network from pixels, in the units of X, to logits of all classes in their order (that of
        the sorted labels, or of the classifier's `classes`); a fitted `OPeNClassifier`, or what its
        ``to_torch()`` returns, which know the order of theirs. It must have learnt the training set
        by cross-entropy. None lets the classifier train one first: itself, without resampler, class
        weights, mixup and averages, by cross-entropy; under `partial_fit` it goes on with it.
        `fit_resample` needs one.
    beta : float, default=0.999
        In [0, 1). How much larger a class must be to give images to another.
    trade_off : float, default=0.5
        The factor :math:`\lambda` of f's logit. Where `OPeNClassifier` trains a cosine head of a
        fixed scale (LDAM), f's cosine is taken.
    threshold : float, default=0.9
        Probability, in [0, 1], from which on the teacher is believed.
    step_size : float, default=0.1
        Length of a step, all pixels of an image together, in units where they lie in [0, 1].
    n_steps : int, default=10
        Number of steps.
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes get how many rows, as for every over-sampler of imbalanced-learn; "auto"
        balances all. Which of a batch's rows are replaced depends on :math:`n_k / n_{max}` alone.
    random_state : int, RandomState instance or None, default=None
        Fixes what `fit_resample` draws; a classifier draws by its own.

    Attributes
    ----------
    sampling_strategy_ : dict
        New rows per class.
    sample_indices_ : ndarray of shape (n_samples_new,)
        Row of `X` that each returned row was copied from; of a translated one, the row whose place
        it takes: of the same class.
    translated_mask_ : ndarray of shape (n_samples_new,), dtype bool
        True for translated rows.
    seed_indices_ : ndarray of shape (n_samples_new,)
        Row of `X` that each translated row was made of; `sample_indices_` for others.
    n_features_in_ : int
        Number of values in a row.

    Notes
    -----
    The values are those of the authors' script for CIFAR-10-LT; they choose `beta` from {0.9, 0.99,
    0.999}, `trade_off` from {0.01, 0.1, 0.5} and `threshold` from {0.9, 0.99}. Their code divides
    by the rows of class 0 where this takes those of the largest. On its own, `fit_resample` treats
    every row that is added as such a slot, draws seeds from all rows, and has no network in
    training: `trade_off` plays no part. Bytes are rounded before the teacher judges them.

    References
    ----------
    .. [1] J. Kim, J. Jeong, J. Shin, "M2m: Imbalanced Classification via Major-to-minor
       Translation", CVPR 2020.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sklearn_open.over_sampling import M2mOverSampler
    >>> X = np.r_[np.full((6, 1, 2, 2), 0.2), np.full((2, 1, 2, 2), 0.8)].astype("float32")
    >>> layer = torch.nn.Linear(4, 2)
    >>> _ = torch.nn.init.zeros_(layer.bias), layer.weight.data.copy_(
    ...     torch.tensor([[-9.0] * 4, [9.0] * 4])), layer.bias.data.copy_(torch.tensor([18.0, -18]))
    >>> teacher = torch.nn.Sequential(torch.nn.Flatten(), layer)
    >>> sampler = M2mOverSampler(teacher, beta=0.5, n_steps=20, random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, [0] * 6 + [1] * 2)
    >>> X_new.shape, int(sampler.translated_mask_.sum())
    ((12, 1, 2, 2), 4)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseOverSampler._parameter_constraints,
        **dict.fromkeys(("teacher", "beta", "trade_off", "threshold"), "no_validation"),
        **dict.fromkeys(("step_size", "n_steps"), "no_validation"),  # `check` says what they are
        "random_state": ["random_state"],
    }
    translates: ClassVar[bool] = True

    def __init__(
        self,
        teacher: Any = None,
        *,
        beta: float = 0.999,
        trade_off: float = 0.5,
        threshold: float = 0.9,
        step_size: float = 0.1,
        n_steps: int = 10,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.teacher = teacher
        self.beta = beta
        self.trade_off = trade_off
        self.threshold = threshold
        self.step_size = step_size
        self.n_steps = n_steps
        self.random_state = random_state

    def __sklearn_clone__(self) -> M2mOverSampler:
        """Return one with the same parameters; its teacher is a copy that knows what it did."""
        params = self.get_params(deep=False)
        teacher = copy.deepcopy(params.pop("teacher"))
        return type(self)(teacher, **{name: clone(v, safe=False) for name, v in params.items()})

    def check(self) -> None:
        """Raise ValueError for a parameter that cannot be used."""
        largest = float(np.nextafter(1, 0))
        _check_range("beta", self.beta, 0, largest, "from 0 to below 1 (the paper: 0.999)")
        _check_range("trade_off", self.trade_off, 0, 1e30, "of 0 or more (the paper: 0.5)")
        _check_range("threshold", self.threshold, 0, 1, "from 0 to 1 (the paper: 0.9)")
        smallest = float(np.nextafter(0, 1))
        _check_range("step_size", self.step_size, smallest, 1e30, "above 0 (the paper: 0.1)")
        check_whole("n_steps", self.n_steps, 1, " (the paper: 10)")
        if self.teacher is not None:
            check_teacher(self.teacher, self.threshold)

    def settings(self, class_counts: np.ndarray) -> TranslationSettings:
        """Return what images are translated by.

        Parameters
        ----------
        class_counts : ndarray of shape (n_classes,)
            Training rows of each class.
        """
        return TranslationSettings(
            class_counts=class_counts,
            beta=self.beta,
            trade_off=self.trade_off,
            threshold=self.threshold,
            step_size=self.step_size,
            n_steps=self.n_steps,
        )

    def draw(
        self, y: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw which rows to duplicate, from labels alone; none is noise.

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
        return draw_over_sampled(self, y, 0, random_state)

    def _fit_resample(self, X: np.ndarray, y: np.ndarray, **_: Any) -> tuple[Any, np.ndarray]:
        self.check()
        if self.teacher is None:
            raise ValueError(
                "fit_resample moves images until a teacher takes them for another class, and "
                "teacher=None: pass a network that was trained on X and y. (An OPeNClassifier "
                "with this sampler as its resampler trains one itself.)"
            )
        random_state = check_random_state(self.random_state)
        self.sample_indices_ = self.draw(y, random_state)[0]
        self.seed_indices_ = self.sample_indices_.copy()
        layout = Layout.of(X.shape)
        images = layout.channels_first(X)
        classes, codes = np.unique(y, return_inverse=True)
        scale = PixelStatistics.of(images).scale
        resampled = images[self.sample_indices_]
        seed = random_state.randint(2**31 - 1)
        self._translate(images, codes, classes, scale, resampled, seed)
        self.translated_mask_ = self.seed_indices_ != self.sample_indices_
        return layout.restore(resampled), y[self.sample_indices_]

    def _translate(
        self,
        images: np.ndarray,
        codes: np.ndarray,
        classes: np.ndarray,
        scale: PixelScale,
        resampled: np.ndarray,
        seed: int,
    ) -> None:
        """Replace the rows that were added, as far as the teacher accepts what is made for them."""
        device = torch.device("cpu")
        teacher = teacher_network(self.teacher, classes, scale, device)
        settings, all_codes = self.settings(np.bincount(codes)), torch.from_numpy(codes)

        def take(rows: torch.Tensor) -> torch.Tensor:
            return scale.to_unit(torch.as_tensor(images[rows.numpy()]))

        def rounded(unit: torch.Tensor) -> torch.Tensor:
            raw = self._kept_whole(scale.to_raw(unit, images.dtype))
            return scale.to_unit(torch.as_tensor(raw))

        looked_at = keyed_generator(device, seed, "teacher")
        some = torch.randperm(len(images), generator=looked_at)[:N_LOOKED_AT]
        check_logits(teacher, take(some), all_codes[some], len(classes))
        for start in range(len(images), len(resampled), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(resampled)))
            targets = all_codes[self.sample_indices_[rows]]
            generator = keyed_generator(device, seed, "m2m", start)
            made = translate_rows(
                take, all_codes, targets, teacher, None, settings, generator, rounded
            )
            places = rows[made.slots.numpy()]
            resampled[places] = self._kept_whole(scale.to_raw(made.images, images.dtype))
            self.seed_indices_[places] = made.seeds.numpy()

    def _kept_whole(self, raw: np.ndarray) -> np.ndarray:
        """Round the columns of a data frame that are whole numbers."""
        raw[:, self._whole_columns] = np.rint(raw[:, self._whole_columns])
        return raw
