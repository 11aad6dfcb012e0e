"""Refuses settings of `OPeNClassifier` that cannot be trained with, before anything is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Any

import torch
from torch.utils.data import DataLoader

from sklearn_open._checks import is_number, is_whole
from sklearn_open._training.hardware import PRECISIONS
from sklearn_open._warnings import warn_user
from sklearn_open.nn._convert import NORMS
from sklearn_open.nn._dar_bn import check_noise_grad
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler
from sklearn_open.plan import COMPOSITIONS, MIN_NATURAL_ROWS, check_epoch

__all__ = ["check_resampling", "check_settings", "has_own_loader"]

CHOICES = {
    "norm": tuple(NORMS),
    "composition": tuple(COMPOSITIONS),
    "epoch_length": ("n_samples", "resampled"),
    "precision": PRECISIONS,
}
# Settings of skorch's data loaders that leave it to the plan which rows a batch has.
HARMLESS = ("batch_size", "num_workers", "pin_memory", "persistent_workers", "prefetch_factor")


def check_settings(net: Any) -> None:
    """Raise ValueError, saying what is needed, for the first setting that is wrong."""
    check_noise_grad(net.noise_grad)
    for name, allowed in CHOICES.items():
        value = getattr(net, name)
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(
                f"{name}={value!r} is unknown. Use one of {', '.join(map(repr, allowed))}."
            )
    _check_schedule(net)
    if not isinstance(net.compile, (bool, str)):
        raise ValueError(
            f"compile={net.compile!r} is unknown. Pass True, False or a mode of torch.compile, "
            "such as 'reduce-overhead'."
        )
    if net.precision == "fp16" and net.optimizer is torch.optim.LBFGS:
        raise ValueError(
            "precision='fp16' scales gradients, which LBFGS, with its several calls per step, does "
            "not allow. Use precision='auto'."
        )
    if net.norm == "aux" and net.optimizer is torch.optim.LBFGS:
        raise ValueError(
            "norm='aux' trains the auxiliary layers in a parameter group of their own, and LBFGS "
            "takes one group only. Use another optimizer."
        )
    for name, size in _batch_sizes(net):
        if not is_whole(size) or (size < 1 and size != -1):
            raise ValueError(
                f"{name}={size!r} is not a number of rows. Pass an int of 1 or more, or -1 for all "
                "rows in one batch."
            )
    if not is_whole(net.checkpoint_every) or net.checkpoint_every < 1:
        raise ValueError(
            f"checkpoint_every={net.checkpoint_every!r} is not a number of epochs. Pass an int of "
            "1 or more."
        )
    if net.checkpoint == "" or not isinstance(net.checkpoint, (str, PathLike, type(None))):
        raise ValueError(f"checkpoint={net.checkpoint!r} is not a folder. Pass a path or None.")


def _batch_sizes(net: Any) -> Iterator[tuple[str, Any]]:
    yield "batch_size", net.batch_size
    for which in ("iterator_train", "iterator_valid"):
        given = net.get_params_for(which)
        if not has_own_loader(net, which) and "batch_size" in given:
            yield f"{which}__batch_size", given["batch_size"]


def _check_schedule(net: Any) -> None:
    if not is_whole(net.max_epochs) or net.max_epochs < 0:
        raise ValueError(
            f"max_epochs={net.max_epochs!r} is not a number of epochs. Pass an int of 0 or more."
        )
    check_epoch("start_epoch", net.start_epoch)
    check_epoch("warmup_epochs", net.warmup_epochs)
    milestones = net.lr_milestones
    if isinstance(milestones, str) or not isinstance(milestones, Iterable):
        raise ValueError(f"lr_milestones={milestones!r} is not a sequence of epochs.")
    for milestone in milestones:
        check_epoch("lr_milestones entry", milestone)
    if not is_number(net.lr_decay) or not float(net.lr_decay) > 0:
        raise ValueError(f"lr_decay={net.lr_decay!r} is not a factor. Pass a number above 0.")


def has_own_loader(net: Any, which: str) -> bool:
    """Whether "iterator_train" or "iterator_valid" is a data loader that rules the batches."""
    given = net.get_params_for(which)
    if which == "iterator_train" and given.get("shuffle"):
        given.pop("shuffle")  # as plans are in any case
    return getattr(net, which) is not DataLoader or not set(given) <= set(HARMLESS)


def check_resampling(net: Any, resampler: Any) -> None:
    """Refuse a resampler that does not fit the composition; warn where no noise would be left."""
    ours = isinstance(resampler, PureNoiseOverSampler)
    own = getattr(resampler, "composition", None)
    if resampler is not None and not ours and net.composition not in ("even", own):
        raise ValueError(
            f"composition={net.composition!r} is a drawing of PureNoiseOverSampler, but resampler "
            f"is {resampler!r}. Use composition='even' with it."
        )
    if resampler is not None and has_own_loader(net, "iterator_train"):
        raise ValueError(
            "iterator_train, with its settings, rules which rows a batch has, and so does the "
            f"resampler {resampler!r}. Set one: leave iterator_train out, or pass resampler=None."
        )
    if ours and resampler.delta > 0 and 0 < net.batch_size <= MIN_NATURAL_ROWS:
        warn_user(
            f"batch_size={net.batch_size} leaves no room for noise, because every batch keeps "
            f"{MIN_NATURAL_ROWS} natural rows for batch norm's statistics. Use larger batches."
        )
