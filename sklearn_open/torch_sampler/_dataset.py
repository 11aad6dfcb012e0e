"""A data set in which pure noise takes the place of some images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import Dataset

from sklearn_open._inputs.door import image_and_label
from sklearn_open.noise._names import fitted_noise
from sklearn_open.torch_sampler._row import PlannedRow

__all__ = ["PureNoiseDataset"]


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
