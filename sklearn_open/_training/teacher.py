"""The teacher of M2m that an estimator trains itself: the same estimator, plainly trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._persistence.fingerprint import compared_params, machine_facts, rows_digest
from sklearn_open._persistence.kept_fits import kept_fit
from sklearn_open.batching._dataset import ImageDataset

__all__ = ["begin_like", "plain_teacher"]

# What is about imbalance, or would look at another training than the one it was made for.
PLAIN: dict[str, Any] = {
    "resampler": None,
    "delta": None,
    "composition": "even",
    "criterion": nn.CrossEntropyLoss,
    "class_weight": None,
    "mixup": None,
    "averaging": None,
    "logit_adjustment": 0.0,
    "train_split": None,
    "callbacks": None,
    "warm_start": False,
}
OF_PARTS = ("resampler__", "criterion__", "class_weight__")
FACTS = ("classes_inferred_", "class_names_", "image_shape_", "n_features_in_", "feature_names_in_")


def begin_like(net: Any, other: Any, seed: int) -> None:
    """Make the network of an estimator for the data that another one has taken in.

    Parameters
    ----------
    net : OPeNClassifier
        Not fitted. It can be trained by `partial_fit` then.
    other : OPeNClassifier
        Its classes and shape of images are taken.
    seed : int
        Root of the random numbers.
    """
    for name in FACTS:
        if hasattr(other, name):
            setattr(net, name, getattr(other, name))
    net.class_count_ = np.zeros(len(net.classes_inferred_), dtype=np.int64)
    net.initialize_from_seed(seed)


def plain_teacher(net: Any, data: ImageDataset) -> nn.Module:
    """Train an estimator plainly on rows, and return its network, which takes raw pixels.

    The epochs before `start_epoch` are those of the estimator itself, where its loss is
    cross-entropy: with `memory=` they are trained once. The whole is kept there, too.

    Parameters
    ----------
    net : OPeNClassifier
        Initialised, not yet trained.
    data : ImageDataset
        Rows to train on.

    Raises
    ------
    KeyboardInterrupt
        When Ctrl-C has ended the teacher's training: a part of it is no teacher.
    """
    teacher = _twin(net)
    if net.verbose:
        print("The teacher, by plain training:")
    is_array = not isinstance(data.X, LazyImages)
    memory = net.memory if net.random_state is not None and is_array else None

    def fit() -> nn.Module:
        begin_like(teacher, net, net.seed_)
        teacher.resampler_ = None
        teacher.partial_fit(data)
        if teacher.interrupted_:
            raise KeyboardInterrupt
        network: nn.Module = teacher.to_torch()
        return network

    if memory is None:
        return fit()
    facts = {
        "params": compared_params(teacher, "identity"),
        "seed": net.seed_,
        "rows": rows_digest(data),
        "machine": machine_facts(net.device_),
    }
    return kept_fit(memory, facts, fit)


def _twin(net: Any) -> Any:
    """Return an estimator with the same parameters, but for those about imbalance."""
    params = {
        name: value
        for name, value in net.get_params(deep=False).items()
        if not name.startswith(OF_PARTS)
    }
    params |= PLAIN
    if params.get("module__head") == "cosine":  # it is for the margins of another loss
        params = {n: v for n, v in params.items() if n not in ("module__head", "module__scale")}
    if net.random_state is None:
        params["memory"] = None  # which would say that it has no effect
    if net.checkpoint is not None:
        params["checkpoint"] = Path(net.checkpoint) / "teacher"
    return type(net)(**params)
