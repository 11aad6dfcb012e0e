"""Training that has diverged stops, and the last good weights are kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from sklearn_open._protocols import TrainingNet
from sklearn_open.exceptions import TrainingDivergedError

__all__ = ["check_losses", "weights_put_back_if_diverged"]

_ADVICE = (
    "The network has the weights from before this epoch. Train again with a lower lr, with "
    "gradients clipped (skorch.callbacks.GradientNormClipping), or with precision='float32'."
)


@contextmanager
def weights_put_back_if_diverged(net: TrainingNet) -> Iterator[None]:
    """Undo the epoch that diverges in this context: weights, running statistics, history.

    What the optimiser remembers of earlier steps has spoilt numbers in it, and is dropped.
    """
    before = {name: copy.deepcopy(part.state_dict()) for name, part in net.parts_.networks.items()}
    try:
        yield
        _check_weights(net, before)
    except TrainingDivergedError:
        for name, part in net.parts_.networks.items():
            part.load_state_dict(before[name])
        for optimizer in net.parts_.optimizers.values():
            optimizer.state.clear()
        net.history.pop()
        raise


def check_losses(net: TrainingNet, losses: Sequence[Any], first: int = 0) -> None:
    """Raise TrainingDivergedError if a loss is not finite.

    Parameters
    ----------
    net : OPeNClassifier
        In training.
    losses : sequence of float or torch.Tensor
        Of consecutive batches of the epoch.
    first : int, default=0
        Number of the batch of the first one.
    """
    for b, loss in enumerate(losses, start=first):
        if not math.isfinite(loss):
            raise TrainingDivergedError(
                f"the loss became {float(loss)} in batch {b + 1} of epoch {len(net.history)} "
                f"(learning rate {_learning_rate(net):g}). {_ADVICE}"
            )


def _check_weights(net: TrainingNet, before: dict[str, Any]) -> None:
    """Raise TrainingDivergedError if numbers that were finite before the epoch no longer are."""
    spoilt = [
        name
        for part, state in before.items()
        for name, tensor in net.parts_.networks[part].state_dict().items()
        if not _is_finite(tensor) and _is_finite(state[name])
    ]
    if spoilt:
        raise TrainingDivergedError(
            f"{spoilt[0]} became NaN or infinite at the end of epoch {len(net.history)} (learning "
            f"rate {_learning_rate(net):g}). {_ADVICE}"
        )


def _is_finite(value: Any) -> bool:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return True
    return bool(torch.isfinite(value.sum(dtype=torch.float64)))  # float64 does not overflow here


def _learning_rate(net: TrainingNet) -> float:
    optimizer = next(iter(net.parts_.optimizers.values()))
    return float(optimizer.param_groups[0]["lr"])
