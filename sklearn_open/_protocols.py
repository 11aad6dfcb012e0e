"""What helpers may touch of an estimator: nothing that is not named here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

__all__ = ["FittedNet", "Parameterized", "Parts", "TrainingNet"]


@dataclass(frozen=True)
class Parts:
    """What training changes, by the names that these have as attributes of the estimator.

    Attributes
    ----------
    modules, criteria : dict of str to torch.nn.Module
        ``module_`` and ``criterion_``, unless a subclass has others.
    optimizers : dict of str to torch.optim.Optimizer
        ``optimizer_``, unless a subclass has others.
    scaler : torch.amp.GradScaler
        Scales gradients under ``precision="fp16"``.
    """

    modules: dict[str, nn.Module]
    criteria: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    scaler: Any

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Modules and criteria: what has weights."""
        return {**self.modules, **self.criteria}


class Parameterized(Protocol):
    """An estimator with parameters, fitted or not."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters as they were given."""
        ...

    def get_params_for(self, prefix: str) -> dict[str, Any]:
        """Return the parameters of a component, without the prefix."""
        ...


class TrainingNet(Parameterized, Protocol):
    """An estimator whose network was made, and is about to be trained, or in training."""

    random_state: Any
    max_epochs: int  # never "auto" once rows to train on are known
    verbose: int
    memory: Any
    checkpoint: Any
    checkpoint_every: int
    norm: str
    noise_grad: str
    logit_adjustment: float
    module_: nn.Module
    history: Any
    callbacks_: Sequence[tuple[str, Any]]
    seed_: int
    interrupted_: bool
    ranks_: Any

    @property
    def device_(self) -> torch.device:
        """Where the network is."""
        ...

    @property
    def parts_(self) -> Parts:
        """What training changes."""
        ...


class FittedNet(TrainingNet, Protocol):
    """An estimator that was fitted, or is made anew from a file."""

    module: Any
    device: Any
    classes_inferred_: np.ndarray
    class_names_: np.ndarray
    image_shape_: tuple[int, ...]
    n_features_in_: int
    feature_names_in_: np.ndarray
    transform_: Any
    history_: Any
    class_count_: np.ndarray
    image_reader_: Any
    only_in_training_: tuple[str, ...]

    @property
    def predict_nonlinearity_(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """What turns logits into probabilities."""
        ...

    def check_is_fitted(self, attributes: Sequence[str] | None = None) -> None:
        """Raise NotFittedError unless the attributes are there."""
        ...

    def initialize_from_seed(self, seed: int) -> Any:
        """Make network, optimiser and callbacks anew."""
        ...
