"""A training that has learnt nothing ends with a warning that says what to try."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from sklearn_open._parameters.settings import defers
from sklearn_open._protocols import TrainingNet
from sklearn_open._warnings import warn_user
from sklearn_open.losses._deferred import DeferredLoss
from sklearn_open.plan import EpochPlanner

__all__ = ["tell_if_nothing_was_learnt"]

# Fewer steps are a trial, of which nobody expects that it learns.
FEWEST_STEPS = 200
# Of the loss of guessing, in the mean over the last tenth of the epochs.
AT_CHANCE = 0.97


class TrainedNet(TrainingNet, Protocol):
    """What is touched of an estimator here."""

    mixup: float | None
    augment: Any
    lr: float
    criterion_: torch.nn.Module
    planner_: EpochPlanner

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the loss of a batch."""
        ...


def tell_if_nothing_was_learnt(net: TrainedNet) -> None:
    """Warn if the loss, when `fit` has ended, is still that of guessing by the class shares.

    That is known of cross-entropy on rows as they are only. So epochs from `start_epoch` on do not
    count where rows, weights or the loss change then; nor does a training with mixup, with a loss
    of another kind, or of few steps.

    Parameters
    ----------
    net : OPeNClassifier
        Its training has ended.
    """
    planner, history = net.planner_, net.history
    n_plain = planner.start_epoch if defers(net, planner.draw) else len(history)
    rows = [row for row in history[:n_plain] if "train_loss" in row]
    n_steps = sum(row.get("train_batch_count", 0) for row in rows)
    if n_steps < FEWEST_STEPS or net.mixup is not None or not _records_cross_entropy(net):
        return
    loss = float(np.mean([row["train_loss"] for row in rows[-max(1, len(rows) // 10) :]]))
    guessing = _loss_of_guessing(planner.codes)
    if guessing > 0 and loss >= AT_CHANCE * guessing:
        warn_user(_sentence(net, loss, guessing, n_steps), ConvergenceWarning)


def _records_cross_entropy(net: TrainedNet) -> bool:
    """Whether the history has the cross-entropy of rows, and nothing that is added to it."""
    is_ours = type(net).get_loss.__module__.partition(".")[0] == "sklearn_open"
    has_aux_heads = getattr(net.module_, "aux_logits", False)
    is_alone = list(net.parts_.modules) == ["module_"]  # a meta sampler draws rows as it has learnt
    return is_ours and is_alone and not has_aux_heads and _is_cross_entropy(net.criterion_)


def _is_cross_entropy(criterion: Any) -> bool:
    loss = criterion.early if isinstance(criterion, DeferredLoss) else criterion
    if type(loss) is not torch.nn.CrossEntropyLoss or loss.weight is not None:
        return False
    return loss.label_smoothing == 0 and loss.reduction == "mean"


def _loss_of_guessing(codes: np.ndarray) -> float:
    """Return the least loss of a network that gives all rows the same probabilities."""
    count = np.bincount(codes)
    shares = count[count > 0] / len(codes)
    return float(-(shares * np.log(shares)).sum())


def _sentence(net: TrainedNet, loss: float, guessing: float, n_steps: int) -> str:
    is_auto = net.get_params(deep=False)["max_epochs"] != net.max_epochs
    more = f"max_epochs={2 * net.max_epochs}" if is_auto else "max_epochs='auto', or a larger one"
    less = "" if net.augment is None else f"less augmentation (it is augment={net.augment!r}), "
    return (
        f"the network has learnt nothing: after {n_steps} steps on rows as they are the loss is "
        f"{loss:.3g}, and guessing by the shares of the classes gives {guessing:.3g}. Try a lower "
        f"lr (it is {net.lr:g}), more epochs ({more}), {less}and look whether the labels are those "
        "of the images."
    )
