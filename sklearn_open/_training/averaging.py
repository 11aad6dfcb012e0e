"""The average of the weights takes the place of the last ones, when training ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.optim.swa_utils import update_bn

from sklearn_open._random import keyed_seed, seeded_user_code
from sklearn_open._training.hardware import autocast, autocast_dtype
from sklearn_open._warnings import warn_user
from sklearn_open.batching._batches import EpochBatches
from sklearn_open.batching._dataset import TrainSet
from sklearn_open.callbacks._averaging import WeightAveraging
from sklearn_open.nn._aux_bn import auxiliary_layers

__all__ = ["put_average_in_place"]


def put_average_in_place(net: Any, train: TrainSet, *, tell_of_none: bool) -> None:
    """Give a network the average of its weights, if one was made, and statistics that fit it.

    Batch norm's statistics are estimated in one pass over the training rows, each once and
    augmented, without noise rows and not mixed, as `torch.optim.swa_utils.update_bn` does.

    Parameters
    ----------
    net : OPeNClassifier
        Its training has ended.
    train : TrainSet
        What it was trained on.
    tell_of_none : bool
        Whether to warn where there is no average, though one was wanted.
    """
    averages = [c for _, c in net.callbacks_ if isinstance(c, WeightAveraging)]
    averaged = next((c.average_ for c in averages if c.average_ is not None), None)
    if averaged is None:
        if tell_of_none and net.averaging is not None and len(net.history):
            warn_user(
                f"averaging={net.averaging!r} has averaged nothing: start_epoch="
                f"{train.planner.start_epoch} of {len(net.history)} epochs never came, or its "
                "callback ('averaging') is switched off. Set start_epoch lower."
            )
        return
    for callback in averages:
        callback.average_ = None
    with torch.no_grad():
        pairs = zip(net.module_.parameters(), averaged.module.parameters(), strict=True)
        for own, average in pairs:
            own.copy_(average)
    _update_statistics(net, train)


def _update_statistics(net: Any, train: TrainSet) -> None:
    plain = TrainSet(train.X, train.codes, train.y, replace(train.planner, draw=None))
    transform = replace(net.transform_, mixup=None)
    epoch = len(net.history)
    workers = net.get_params_for("iterator_train").get("num_workers", 0)
    batches = EpochBatches(plain, transform, net.device_, lambda: epoch, workers)
    dtype = autocast_dtype(net.precision, net.device_, tuple(net.image_shape_))
    # No natural row passes the second layers: theirs stay.
    of_noise = [
        (layer.auxiliary, layer.auxiliary.state_dict()) for layer in auxiliary_layers(net.module_)
    ]
    of_noise = [(layer, {n: t.clone() for n, t in state.items()}) for layer, state in of_noise]
    with (
        seeded_user_code(net.device_, keyed_seed(net.seed_, "averaging", epoch)),
        autocast(net.device_, dtype, share_casts=False),
    ):
        update_bn(batches, net.module_)
    for layer, state in of_noise:
        layer.load_state_dict(state)
