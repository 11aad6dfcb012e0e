"""A fitted estimator as one plain network: from raw pixels to probabilities."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from sklearn_open._protocols import FittedNet
from sklearn_open.batching._transform import BatchTransform
from sklearn_open.nn import revert_norm
from sklearn_open.nn._outputs import main_output

__all__ = ["RawToProbabilities", "to_network"]


def to_network(net: FittedNet) -> RawToProbabilities:
    """Return a copy of a fitted estimator's network that takes raw pixels.

    Parameters
    ----------
    net : OPeNClassifier
        Fitted.
    """
    net.check_is_fitted(["module_", "transform_"])
    network = revert_norm(copy.deepcopy(net.module_)).cpu()
    network = network.to(memory_format=torch.contiguous_format)
    nonlinearity = copy.deepcopy(net.predict_nonlinearity_)
    whole = RawToProbabilities(network, nonlinearity, net.transform_, net.image_shape_)
    whole.classes_ = net.classes_inferred_
    return whole.cpu().eval().requires_grad_(False)


class RawToProbabilities(nn.Module):
    """Scales and normalises pixels, calls a network and turns its logits into probabilities.

    Parameters
    ----------
    network : torch.nn.Module
        From normalised rows to logits.
    nonlinearity : callable
        From logits to probabilities.
    transform : BatchTransform
        How rows are normalised.
    row_shape : tuple of int
        Shape of a row.
    """

    classes_: np.ndarray  # labels, in the order of the columns
    low: torch.Tensor
    width: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        nonlinearity: Callable[[torch.Tensor], torch.Tensor],
        transform: BatchTransform,
        row_shape: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.network = network
        self.nonlinearity = nonlinearity
        self.row_shape = tuple(row_shape)
        per_channel = (-1, *[1] * (len(row_shape) - 1))
        constants = {"low": transform.scale.low, "width": transform.scale.width}
        constants |= {"mean": transform.mean, "std": transform.std}
        for name, values in constants.items():
            self.register_buffer(
                name, torch.tensor(values, dtype=torch.float32).reshape(per_channel)
            )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the probabilities (n, n_classes) of rows in the units that were fitted."""
        return self.nonlinearity(self.to_logits(pixels))

    def to_logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the network's logits (n, n_classes), of which probabilities are made."""
        if tuple(pixels.shape[1:]) != self.row_shape:
            raise ValueError(
                f"the rows have shape {tuple(pixels.shape[1:])}; needed is {self.row_shape} "
                "(channels first), as in fit."
            )
        # The same steps in the same order as in `BatchTransform.evaluate`, for the same rounding.
        unit = (pixels.to(torch.float32) - self.low) / self.width
        return main_output(self.network((unit - self.mean) / self.std))
