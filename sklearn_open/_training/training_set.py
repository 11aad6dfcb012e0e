"""From what `fit` was given to rows to train on, with the plan of every epoch.

In the order of a fit: settings and data are checked (`take_in`), rows are held out by skorch's
splitter, the others become the training set (`make_train_set`), with what turns them into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import InputShapeSetter
from skorch.dataset import Dataset

from sklearn_open._inputs.door import read, read_labelled
from sklearn_open._inputs.images import check_range
from sklearn_open._inputs.labels import encode_labels, names_of
from sklearn_open._inputs.layout import check_image_shape
from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open._parameters.checks import is_auto
from sklearn_open._parameters.settings import (
    check_names_of_parts,
    check_resampling,
    check_settings,
    defers,
    has_own_loader,
)
from sklearn_open._protocols import TrainingNet
from sklearn_open._training.building import check_single_rows
from sklearn_open._training.hardware import predict_batch_size
from sklearn_open._warnings import warn_user
from sklearn_open.augment._presets import check_augment
from sklearn_open.batching._batches import EpochBatches, EvalBatches, LoaderBatches
from sklearn_open.batching._dataset import ImageDataset, TrainSet, taken
from sklearn_open.batching._transform import BatchTransform, check_normalize
from sklearn_open.losses._class_weight import check_class_weight
from sklearn_open.noise._names import check_noise
from sklearn_open.over_sampling._epochs import build_resampler, rebalance
from sklearn_open.plan import EpochPlanner, resolve_epoch

__all__ = [
    "held_out",
    "labelled_rows",
    "make_batches",
    "make_train_set",
    "rows_to_predict",
    "take_in",
]


class PlanningNet(TrainingNet, Protocol):
    """What is touched of an estimator here: parameters, and what `fit` learns of the data."""

    delta: float | None
    resampler: Any
    class_weight: Any
    mixup: float | None
    start_epoch: int | float
    composition: str
    epoch_length: str
    augment: Any
    normalize: Any
    image_shape: Any
    classes: Any
    batch_size: int
    batch_size_: int
    lr_milestones: Sequence[int | float]
    lr_decay: float | str
    dataset: Any
    resampler_: Any
    classes_inferred_: np.ndarray
    class_names_: np.ndarray
    image_shape_: tuple[int, ...]
    transform_: BatchTransform
    planner_: EpochPlanner
    class_count_: np.ndarray
    n_parts_: int
    in_parts_: bool
    callbacks: Any

    def check_own_settings(self) -> None:
        """Raise ValueError for what a subclass cannot be trained with."""
        ...

    @property
    def classes_(self) -> np.ndarray:
        """Labels, in the order of the columns of `predict_proba`."""
        ...


# --- what was given ---


def take_in(
    net: PlanningNet, X: Any, y: Any, *, goes_on: bool, classes: Any = None, chunk: bool = False
) -> ImageDataset:
    """Check settings and data, and note on the estimator what is learnt of them.

    Parameters
    ----------
    net : OPeNClassifier
        Gets `resampler_`, `classes_inferred_`, `class_names_`, `image_shape_`, `n_features_in_`.
    X, y
        As given to `fit`.
    goes_on : bool
        Whether a network that was trained goes on, so that data must be like those before.
    classes : array-like or None, default=None
        All labels there are, as given to `partial_fit`.
    chunk : bool, default=False
        Whether `y` may hold a single class.

    Raises
    ------
    ValueError, TypeError, CheckpointError
        For what cannot be trained on; nothing has been noted then.
    """
    check_settings(net)
    net.check_own_settings()
    check_names_of_parts(net)
    resampler = build_resampler(net.resampler, net.delta, net.get_params_for("resampler"))
    check_resampling(net, resampler)
    if goes_on and net.checkpoint is not None and len(net.history):
        raise ValueError(
            "checkpoint= belongs to fits from the beginning, and this one goes on from a trained "
            "network (partial_fit, warm_start). Set checkpoint=None."
        )
    if goes_on:
        classes, image_shape = net.classes_, shape_of_images(net)
    else:
        given_first = net.classes is not None and np.size(net.classes)
        classes = net.classes if given_first else classes
        image_shape = check_image_shape(net.image_shape)
    X = _in_own_dataset(net, X, y)
    workers = net.get_params_for("iterator_train").get("num_workers", 0)
    reading: dict[str, Any] = {"num_workers": workers, "ranks": net.ranks_}
    given = read_labelled(net, X, y, image_shape=image_shape, reset=not goes_on, **reading)
    found, codes, labels = encode_labels(
        given.labels, classes, one_class=chunk, may_be_names=not goes_on
    )
    _check_transforms(net, given.images.shape[1:])
    check_class_weight("class_weight", net.class_weight, found)
    net.resampler_ = resampler
    net.classes_inferred_ = found
    if not goes_on:
        vars(net).pop("image_reader_", None)  # of the files of another fit
        net.class_names_ = names_of(found, classes)
        net.class_count_ = np.zeros(len(found), dtype=np.int64)  # until rows are held out
    net.image_shape_ = given.images.shape[1:]
    _count_parts(net, goes_on, chunk)
    _set_input_shape(net)
    return ImageDataset(given.images, codes, labels)


def _in_own_dataset(net: PlanningNet, X: Any, y: Any = None) -> Any:
    """Return the rows in the data set that the user wants them in (``dataset=``), if any."""
    if net.dataset is Dataset and not net.get_params_for("dataset"):
        return X
    return NeuralNet.get_dataset(net, X, y)


def _set_input_shape(net: PlanningNet) -> None:
    """Do what skorch's InputShapeSetter does, before the network is made and not afterwards."""
    for item in net.callbacks if isinstance(net.callbacks, (list, tuple)) else ():
        callback = item[1] if isinstance(item, (list, tuple)) else item
        if isinstance(callback, InputShapeSetter) and callback.input_dim_fn is None:
            setattr(net, f"{callback.module_name}__{callback.param_name}", net.image_shape_[-1])


def _count_parts(net: PlanningNet, goes_on: bool, chunk: bool) -> None:
    """Note how many calls trained this network, and tell of shares that a loop of them loses."""
    net.n_parts_ = getattr(net, "n_parts_", 0) + 1 if goes_on else 1
    net.in_parts_ = chunk if net.n_parts_ == 1 else net.in_parts_ or not chunk  # warm_start
    if net.n_parts_ == 1 or is_auto(net.max_epochs):  # which may not be settled yet
        return
    start = resolve_epoch(net.start_epoch, net.max_epochs)
    # A network that was trained for long and is tuned now has lost nothing; one further call after
    # `fit` is no loop yet.
    is_the_time = net.n_parts_ == 2 if net.in_parts_ else net.n_parts_ == 3 and start == 0
    if is_the_time and len(net.history) == net.max_epochs * (net.n_parts_ - 1):
        _tell_of_shares(net)


def _tell_of_shares(net: PlanningNet) -> None:
    """Warn, in a loop of `partial_fit`, of a deferral or schedule that each call has for itself."""
    start = resolve_epoch(net.start_epoch, net.max_epochs)
    lost = []
    is_share = isinstance(net.start_epoch, float) and net.start_epoch > 0
    if is_share and defers(net, net.resampler_):
        lost.append(f"start_epoch={net.start_epoch!r} (rebalanced from epoch {start} on)")
    if isinstance(net.lr_decay, str):
        lost.append(f"lr_decay={net.lr_decay!r} (0 from the second call on)")
    drops = [one for one in net.lr_milestones if isinstance(one, float)]
    if (
        drops
        and not isinstance(net.lr_decay, str)
        and not any(resolve_epoch(one, net.max_epochs) for one in drops)
    ):
        lost.append(f"lr_milestones={net.lr_milestones!r} (the learning rate never drops)")
    if lost:
        warn_user(
            f"partial_fit trains for max_epochs={net.max_epochs} more each time, and shares are "
            f"shares of that, not of all calls together: {', '.join(lost)}. Give numbers of "
            "epochs, which count over all calls: start_epoch=160, lr_milestones=(160, 180), "
            "warmup_epochs=5."
        )


def _check_transforms(net: PlanningNet, shape: tuple[int, ...]) -> None:
    check_normalize(net.normalize, *np.ones((2, shape[0])))
    augment = check_augment(net.augment)
    if augment is not None:  # it may refuse the shape
        augment(torch.zeros(2, *shape), torch.Generator())


def shape_of_images(net: PlanningNet) -> tuple[int, ...] | None:
    """Return the shape that images must have once fitted; None for a table."""
    return net.image_shape_ if len(net.image_shape_) > 1 else None


# --- rows held out, rows to train on ---


def held_out(net: PlanningNet, valid: Any) -> ImageDataset | None:
    """Return the rows that skorch's splitter holds out, if any."""
    if valid is None:
        return None
    if isinstance(getattr(valid, "dataset", valid), ImageDataset):
        return taken(valid)
    # What skorch's predefined_split was given, which nobody has looked at yet: arrays in skorch's
    # data set, or another data set.
    if isinstance(valid, Dataset):
        return _labelled(net, valid.X, valid.y)
    return _labelled(net, valid, None)


def labelled_rows(net: PlanningNet, X: Any, y: Any) -> ImageDataset:
    """Return more rows with labels, checked against those that the estimator was fitted on."""
    return _labelled(net, _in_own_dataset(net, X, y), y)


def _labelled(net: PlanningNet, X: Any, y: Any) -> ImageDataset:
    given = read_labelled(net, X, y, image_shape=shape_of_images(net))
    _, codes, labels = encode_labels(given.labels, net.classes_, one_class=True)
    return ImageDataset(given.images, codes, labels)


def make_train_set(net: PlanningNet, data: ImageDataset) -> TrainSet:
    """Return rows to train on with their plans; the estimator gets `transform_`, `planner_`."""
    n_rows = net.batch_size_
    if 1 in (len(data), n_rows):
        check_single_rows(net.module_, net.image_shape_)
    net.transform_ = _make_transform(net, data)
    net.class_count_ = _class_count(net, data)
    rows, draw = rebalance(net.resampler_, data, net.seed_)
    net.planner_ = EpochPlanner(
        codes=data.codes,
        draw=draw,
        start_epoch=resolve_epoch(net.start_epoch, net.max_epochs),
        batch_size=n_rows,
        seed=net.seed_,
        delta=getattr(net.resampler_, "delta", 0.0),
        composition=getattr(net.resampler_, "composition", None) or net.composition,
        epoch_length=net.epoch_length,
    )
    return TrainSet(rows.X, rows.codes, rows.y, net.planner_)


def _class_count(net: PlanningNet, data: ImageDataset) -> np.ndarray:
    """Return how many rows of each class the network was trained on, earlier calls included."""
    count = np.bincount(data.codes, minlength=len(net.classes_inferred_))
    return count + getattr(net, "class_count_", 0)  # which files of before it was kept lack


def _make_transform(net: PlanningNet, data: ImageDataset) -> BatchTransform:
    augment, noise = check_augment(net.augment), None
    known = getattr(net, "transform_", None)
    makes_noise = getattr(net.resampler_, "makes_noise", False)
    if known is None or makes_noise:
        workers = net.get_params_for("iterator_train").get("num_workers", 0)
        scale = getattr(known, "scale", None)
        statistics = PixelStatistics.of(data.X, scale, workers, ranks=net.ranks_)
    if makes_noise:
        noise = check_noise(net.resampler_.noise).fit(data.X, data.codes, statistics)
    if known is not None:  # a network that goes on training keeps its input's scale
        known.scale.warn_of_other_units(data.X)
        return replace(known, augment=augment, noise=noise, seed=net.seed_, mixup=net.mixup)
    check_range(statistics.scale.low, statistics.scale.high)  # a data set was not read so far
    mean, std = check_normalize(net.normalize, statistics.mean, statistics.std)
    return BatchTransform(statistics.scale, mean, std, augment, noise, net.seed_, net.mixup)


# --- rows to predict on ---


def rows_to_predict(net: PlanningNet, X: Any) -> ImageDataset:
    """Return rows, checked against those that the estimator was fitted on."""
    images = read(net, _in_own_dataset(net, X), image_shape=shape_of_images(net))
    net.transform_.scale.warn_of_other_units(images)
    return ImageDataset(images)


# --- batches ---


def make_batches(
    net: PlanningNet,
    dataset: ImageDataset,
    training: bool,
    epoch: Callable[[], int],
    own_loader: Callable[[], Any],
) -> EpochBatches | EvalBatches | LoaderBatches:
    """Return what yields the batches of a data set.

    Parameters
    ----------
    net : OPeNClassifier
        With `transform_`.
    dataset : ImageDataset
        Rows; a `TrainSet` has plans.
    training : bool
        Whether the settings are those of "iterator_train".
    epoch : callable
        Returns the number of the running epoch.
    own_loader : callable
        Returns the loader that the user wants batches from.
    """
    which = "iterator_train" if training else "iterator_valid"
    settings = (net.transform_, net.device_)
    has_plans = training and isinstance(dataset, TrainSet)
    if has_own_loader(net, which):
        return LoaderBatches(own_loader(), *settings, epoch if has_plans else None)
    given = net.get_params_for(which)
    workers = given.get("num_workers", 0)
    if training and isinstance(dataset, TrainSet):
        return EpochBatches(dataset, *settings, epoch, workers, net.ranks_.share)
    size = given.get("batch_size")
    if size is None:
        size = predict_batch_size(net.device_, net.image_shape_)
    return EvalBatches(dataset, *settings, len(dataset) if size == -1 else size, workers)
