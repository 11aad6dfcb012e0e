"""OPeN for a training loop of one's own: the plan of an epoch as a `DataLoader` takes it.

The sampler says which rows a batch has and which of them are noise; the data set puts noise in
their place. What a worker needs travels with the row, so any number of workers makes the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.utils.data import Dataset, Sampler

from sklearn_open._checks import check_one_of, check_whole
from sklearn_open._inputs.door import image_and_label, own_labels
from sklearn_open._inputs.labels import encode_labels
from sklearn_open._random import keyed_seed
from sklearn_open._warnings import warn_user
from sklearn_open.noise._names import fitted_noise
from sklearn_open.over_sampling._epochs import LabelDraw
from sklearn_open.over_sampling._pure_noise import DEFAULT_DELTA, PureNoiseOverSampler, check_delta
from sklearn_open.plan import COMPOSITIONS, EPOCH_LENGTHS, EpochPlan, EpochPlanner

__all__ = ["PlannedRow", "PureNoiseBatchSampler", "PureNoiseDataset"]


@dataclass(frozen=True)
class PlannedRow:
    """One row of a batch, as `PureNoiseBatchSampler` yields it and `PureNoiseDataset` reads it.

    Not an integer, so that a data set that does not know of noise cannot take it for one and train
    on the image that noise was to replace.

    Attributes
    ----------
    index : int
        Row of the training set. For a noise row: a row of its class, whose label it takes.
    code : int
        Class of the row, 0 to n_classes - 1.
    noise_seed : int or None
        What the noise image is drawn from; None for a natural row.
    n_rows : int or None
        Rows of the training set, as far as the sampler knows; None for a row of one's own.
    """

    index: int
    code: int
    noise_seed: int | None
    n_rows: int | None = None

    @property
    def is_noise(self) -> bool:
        """Whether the row's image is replaced with pure noise."""
        return self.noise_seed is not None


class PureNoiseBatchSampler(Sampler[list[PlannedRow]]):
    """The batches of OPeN, for the `batch_sampler` of a `torch.utils.data.DataLoader`.

    With the same `random_state` and settings its epochs are those of `OPeNClassifier`, row by row.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or data set
        Labels of the rows of the data set, of any kind; or the data set, whose items are asked.
    batch_size : int
        Largest number of rows in a batch; batches of an epoch differ by one row at most.
    delta : float, default=1/3
        Share of the added samples that is pure noise, in [0, 1]. 0 is random over-sampling.
    start_epoch : int, default=0
        First rebalanced epoch; earlier ones visit every row once. The paper defers to 160 of 200.
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes get how many rows; see `PureNoiseOverSampler`.
    composition : {"even", "bernoulli", "appended"}, default="even"
        See `OPeNClassifier`.
    epoch_length : {"n_samples", "resampled"}, default="n_samples"
        See `OPeNClassifier`.
    random_state : int, RandomState instance or None, default=0
        Fixes plans and noise.

    Attributes
    ----------
    epoch : int
        The epoch that the next iteration is for; see `set_epoch`.
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the codes.
    seed_ : int
        Root of all random numbers.

    Raises
    ------
    ValueError
        For settings or labels that no plan can be made of.

    See Also
    --------
    PureNoiseDataset : Reads the rows that this sampler yields.
    sklearn_open.nn.forward_mixed : Calls a network on such a batch.

    Notes
    -----
    Batches are for one process: there is no splitting over the ranks of a distributed training.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> from sklearn_open.torch_sampler import PureNoiseBatchSampler, PureNoiseDataset
    >>> images, labels = torch.rand(12, 3, 8, 8), torch.tensor([0] * 9 + [1] * 3)
    >>> sampler = PureNoiseBatchSampler(labels, batch_size=6)
    >>> dataset = PureNoiseDataset(TensorDataset(images, labels), noise=([0.5] * 3, [0.3] * 3))
    >>> loader = DataLoader(dataset, batch_sampler=sampler)
    >>> for epoch in range(2):
    ...     sampler.set_epoch(epoch)
    ...     for x, y, is_noise in loader:
    ...         print(epoch, tuple(x.shape), int(is_noise.sum()))
    0 (6, 3, 8, 8) 1
    0 (6, 3, 8, 8) 1
    1 (6, 3, 8, 8) 1
    1 (6, 3, 8, 8) 0
    """

    def __init__(
        self,
        y: Any,
        *,
        batch_size: int,
        delta: float = DEFAULT_DELTA,
        start_epoch: int = 0,
        sampling_strategy: Any = "auto",
        composition: str = "even",
        epoch_length: str = "n_samples",
        random_state: Any = 0,
    ) -> None:
        check_delta(delta)
        check_one_of("composition", composition, COMPOSITIONS)
        check_one_of("epoch_length", epoch_length, EPOCH_LENGTHS)
        given = own_labels(y, None)  # of a data set
        self.classes_, codes, labels = encode_labels(y if given is None else given)
        draw = LabelDraw(
            PureNoiseOverSampler(sampling_strategy=sampling_strategy, delta=delta), labels
        )
        draw(np.random.RandomState(0))  # what cannot be drawn fails now, not at start_epoch
        self.seed_ = int(check_random_state(random_state).randint(2**31 - 1))
        self._planner = EpochPlanner(
            codes=codes,
            draw=draw,
            start_epoch=check_whole("start_epoch", start_epoch, 0, " (as in int(0.8 * n_epochs))"),
            batch_size=check_whole("batch_size", batch_size, 1),
            seed=self.seed_,
            delta=delta,
            composition=composition,
            epoch_length=epoch_length,
        )
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration is for.

        To be called before every epoch of a loop of one's own; Lightning calls it by itself.

        Parameters
        ----------
        epoch : int
            Number of the epoch, 0 the first.
        """
        self.epoch = check_whole("epoch", epoch, 0)
        self._plan = self._planner.plan(self.epoch)
        self._n_iterations = 0

    @property
    def sampler(self) -> PureNoiseBatchSampler:
        """The sampler itself: where Lightning looks for `set_epoch`."""
        return self

    def epoch_plan(self, epoch: int) -> EpochPlan:
        """Return which rows an epoch sees, which of them as noise, in which batch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, 0 the first. Any epoch can be asked for.

        Returns
        -------
        EpochPlan
            With arrays ``index``, ``is_noise`` and ``bounds``.
        """
        return self._planner.plan(check_whole("epoch", epoch, 0))

    def __len__(self) -> int:
        """Return the number of batches of the current epoch."""
        return self._plan.n_batches

    def __iter__(self) -> Iterator[list[PlannedRow]]:
        """Return the batches of the current epoch, natural rows first in each."""
        self._n_iterations += 1
        if self._n_iterations == 3:  # Lightning makes an iterator more than it uses
            warn_user(
                f"epoch {self.epoch} was iterated three times, with the same rows and the same "
                "noise. Call set_epoch(epoch) before every epoch."
            )
        return self._batches(self._plan, self.epoch)  # as they are now: workers fetch ahead

    def _batches(self, plan: EpochPlan, epoch: int) -> Iterator[list[PlannedRow]]:
        codes = self._planner.codes
        for start, stop in zip(plan.bounds[:-1], plan.bounds[1:], strict=True):
            batch = []
            for position in range(start, stop):
                index, seed = int(plan.index[position]), None
                if plan.is_noise[position]:
                    seed = keyed_seed(self.seed_, "noise", epoch, position)
                batch.append(PlannedRow(index, int(codes[index]), seed, len(codes)))
            yield batch


class PureNoiseDataset(Dataset):
    """A data set some of whose rows are pure noise, as `PureNoiseBatchSampler` says.

    The order is the paper's: `dataset` decodes and augments, noise then takes the place of some
    images, and `transform` (normalisation) is applied to both kinds alike.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Returns ``(image, label)`` for an integer, or a mapping with keys such as "image" and
        "label"; what else an item holds is left out. Images are not yet normalised: torch tensors
        or arrays of shape (n_channels, ...), uint8, or floats in [0, 1]; or PIL images.
    noise : pair of array-likes or NoiseFamily
        Mean and deviation of each channel over the training images, in units where pixels lie in
        [0, 1] (Eq. 2): the paper's clipped normal noise. Or a fitted family of another law; one
        that starts from images starts from what `dataset` returns.
    transform : callable or None, default=None
        Applied to every image, natural or noise: a float32 tensor in [0, 1]. Normalisation
        belongs here, anything that is for natural images only in `dataset`. Noise that is `raw`
        does without.

    Examples
    --------
    See `PureNoiseBatchSampler`.
    """

    def __init__(
        self,
        dataset: Any,
        noise: Any,
        transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self.dataset = dataset
        self.noise = fitted_noise(noise)
        self.transform = transform
        self._labels: dict[int, str] = {}  # of the sampler's codes, as far as rows were read

    def __len__(self) -> int:
        """Return the number of natural images."""
        return len(self.dataset)

    def _check_label(self, row: PlannedRow, label: Any) -> None:
        """Refuse items whose labels are not those that the sampler was given."""
        known = self._labels.setdefault(row.code, str(label))
        if known != str(label):
            raise ValueError(
                f"item {row.index} has the label {label!r}, and another row that "
                f"PureNoiseBatchSampler was given the same label for has {known}. Pass the labels "
                "of the items, in their order."
            )

    def __getitem__(self, row: PlannedRow | int) -> tuple[torch.Tensor, Any, bool]:
        """Return one row.

        Parameters
        ----------
        row : PlannedRow or int
            An integer is a natural row.

        Returns
        -------
        image : torch.Tensor of shape (n_channels, ...), dtype float32
            Transformed.
        label : object
            As `dataset` returns it.
        is_noise : bool
            A batch of them is the ``noise_mask`` of `forward_mixed`.

        Raises
        ------
        ValueError
            When `dataset` returns something else than images in pixel scale, or has another number
            of rows than the sampler has labels.
        """
        if not isinstance(row, PlannedRow):
            row = PlannedRow(int(row), 0, None)
        if row.n_rows not in (None, len(self.dataset)):
            raise ValueError(
                f"PureNoiseBatchSampler was given {row.n_rows} labels, and the data set has "
                f"{len(self.dataset)} rows. Pass one label for each row, in their order."
            )
        image, label = image_and_label(self.dataset[row.index], self.dataset)
        if row.n_rows is not None:
            self._check_label(row, label)
        image = _pixels(image)
        if row.noise_seed is not None:
            generator = torch.Generator().manual_seed(row.noise_seed)
            code = torch.tensor([row.code])
            shape = tuple(image.shape)
            image = self.noise.replacements(code, shape, generator, image[None])[0]
            if self.noise.raw:
                return image, label, True
        return image if self.transform is None else self.transform(image), label, row.is_noise


def _pixels(image: Any) -> torch.Tensor:
    """Return an image in unit scale."""
    if hasattr(image, "getbands"):
        from torchvision.transforms.v2.functional import pil_to_tensor

        image = pil_to_tensor(image)
    image = torch.as_tensor(image)
    if image.dtype == torch.uint8:
        return image.float() / 255
    low, high = (float(value) for value in image.aminmax())
    if not image.is_floating_point() or not (low >= 0 and high <= 1):
        raise ValueError(
            f"dataset returned an image of dtype {image.dtype} with values from {low:g} to "
            f"{high:g}. Noise replaces images before they are normalised: return uint8, or floats "
            "in [0, 1], and pass normalisation as transform= of PureNoiseDataset."
        )
    return image.float()
