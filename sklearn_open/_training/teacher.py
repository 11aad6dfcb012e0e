"""The teacher of M2m that an estimator trains itself: the same estimator, plainly trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._persistence.fingerprint import compared_params, machine_facts, rows_digest
from sklearn_open._persistence.kept_fits import kept_fit
from sklearn_open.batching._dataset import ImageDataset
from sklearn_open.over_sampling._teacher import check_teacher

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


def plain_teacher(
    net: Any,
    data: ImageDataset,
    threshold: float,
    raise_if_interrupted: Callable[[], None] = lambda: None,
) -> Any:
    """Train an estimator plainly on rows, and return it.

    The epochs before `start_epoch` are those of the estimator itself, where its loss is
    cross-entropy: with `memory=` they are trained once. The whole is kept there, too. Where the
    estimator goes on training (`partial_fit`), so does its teacher.

    Parameters
    ----------
    net : OPeNClassifier
        Initialised. Keeps the teacher.
    data : ImageDataset
        Rows to train on.
    threshold : float
        The probability that a teacher must be able to give.
    raise_if_interrupted : callable
        Ends waiting for another process that trains the same.

    Raises
    ------
    ValueError
        For a network that can never be as sure.
    KeyboardInterrupt
        When Ctrl-C has ended the teacher's training: a part of it is no teacher.
    """
    goes_on = len(net.history) > 0 and net.own_teacher_ is not None
    teacher = net.own_teacher_ if goes_on else _twin(net)
    if net.verbose:
        print("The teacher, by plain training:")

    def fit() -> Any:
        if not goes_on:
            begin_like(teacher, net, net.seed_)
            teacher.resampler_ = None
        check_teacher(teacher.module_, threshold)
        teacher.partial_fit(data)
        if teacher.interrupted_:
            raise KeyboardInterrupt
        return teacher

    is_array = not isinstance(data.X, LazyImages)
    from_beginning = net.random_state is not None and is_array and len(net.history) == 0
    facts = None
    if from_beginning and net.memory is not None:
        facts = {
            "class": type(net),
            "params": compared_params(teacher, "identity"),
            "seed": net.seed_,
            "rows": rows_digest(data),
            "machine": machine_facts(net.device_),
        }
    memory = net.memory if facts is not None else None
    net.own_teacher_ = kept_fit(memory, facts, fit, raise_if_interrupted, net.ranks_)
    return net.own_teacher_


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
