"""Refuses settings of `OPeNClassifier` that cannot be trained with, before anything is made."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.utils.data import DataLoader

from sklearn_open._checks import near_names
from sklearn_open._parameters.checks import is_auto
from sklearn_open._parameters.table import TABLE, component, parameter
from sklearn_open._protocols import Parameterized
from sklearn_open._warnings import warn_user
from sklearn_open.losses._class_weight import effective_number_weights
from sklearn_open.losses._deferred import DeferredLoss
from sklearn_open.losses._names import find_loss
from sklearn_open.over_sampling._base import EpochSampler
from sklearn_open.plan import MIN_NATURAL_ROWS

__all__ = [
    "ITERATORS",
    "check_names_of_parts",
    "check_resampling",
    "check_settings",
    "defers",
    "has_own_loader",
]

# What skorch records of rows held out.
OF_HELD_OUT = ("valid_loss", "valid_loss_best", "valid_acc", "valid_acc_best")
ITERATORS = ("iterator_train", "iterator_valid")
# Settings of skorch's data loaders that leave it to the plan which rows a batch has.
OF_READING = {"batch_size"} | {
    row.name.partition("__")[2]
    for row in TABLE
    if row.name.startswith("iterator_train__") and not row.identity
}


def check_settings(net: Parameterized) -> None:
    """Raise ValueError, saying what is needed, for the first setting that is wrong."""
    params = net.get_params(deep=False)
    own_loaders = [which for which in ITERATORS if has_own_loader(net, which)]
    for name, value in params.items():
        check = parameter(name).check
        if check is not None and component(name) not in own_loaders:
            check(name, value)
    _check_lbfgs(params)
    if params["distributed"] and "iterator_train" in own_loaders:
        raise ValueError(
            "distributed=True deals the batches of a plan to ranks, and iterator_train, with its "
            "settings, rules which rows a batch has. Leave iterator_train out."
        )
    _check_monitors(params)
    if params["logit_adjustment"] and params["predict_nonlinearity"] is None:
        raise ValueError(
            f"logit_adjustment={params['logit_adjustment']} divides probabilities by the prior, "
            "and predict_nonlinearity=None makes none. Use predict_nonlinearity='auto'."
        )


def check_names_of_parts(net: Parameterized) -> None:
    """Refuse parameters that a part does not have, with those that are near."""
    params = net.get_params(deep=False)
    for part in ("optimizer", "criterion", "resampler", *ITERATORS):
        made = find_loss(params[part]) if part == "criterion" else params[part]
        try:
            known = inspect.signature(made).parameters
        except (TypeError, ValueError):  # no class, or one that is written in C
            continue
        if not isinstance(made, type) or any(
            parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()
        ):
            continue
        for name in params:
            own = name.removeprefix(f"{part}__")
            if own != name and "__" not in own and own not in {*known, "param_groups"}:
                near = near_names(own, known, f"{part}__")
                raise ValueError(
                    f"{name} is no parameter of {part}={made.__name__}.{near} It has "
                    f"{', '.join(known)}."
                )
    _check_names_of_weights(params)


def _check_names_of_weights(params: dict[str, Any]) -> None:
    class_weight = params["class_weight"]
    has_beta = class_weight is None or class_weight == "effective"
    known = ["beta", "reduction"] if has_beta else ["reduction"]
    for name in params:
        own = name.removeprefix("class_weight__")
        if own != name and own not in known:
            near = near_names(own, known, "class_weight__")
            raise ValueError(
                f"{name} is no parameter of class_weight={class_weight!r}.{near} It has "
                f"{', '.join(known)}; beta is that of class_weight='effective'."
            )
    if "class_weight__beta" in params:
        effective_number_weights([1], params["class_weight__beta"])


def _check_monitors(params: dict[str, Any]) -> None:
    """Refuse callbacks that watch rows held out, where none are."""
    callbacks = params["callbacks"]
    if params["train_split"] or not isinstance(callbacks, (list, tuple)):
        return
    for item in callbacks:
        name, callback = item if isinstance(item, (list, tuple)) else (None, item)
        if f"callbacks__{name}__monitor" in params:
            continue
        monitor = getattr(callback, "monitor", None)
        if isinstance(callback, type):
            known = inspect.signature(callback).parameters
            monitor = known["monitor"].default if "monitor" in known else None
        if isinstance(monitor, str) and monitor in OF_HELD_OUT:
            kind = callback if isinstance(callback, type) else type(callback)
            raise ValueError(
                f"{kind.__name__} watches {monitor!r}, and train_split=None holds no rows out. "
                "Pass train_split=skorch.dataset.ValidSplit(5, stratified=True), or let it watch "
                "'train_loss'."
            )


def _check_lbfgs(params: dict[str, Any]) -> None:
    if params["optimizer"] is not torch.optim.LBFGS:
        return
    if params["precision"] == "fp16":
        raise ValueError(
            "precision='fp16' scales gradients, which LBFGS, with its several calls per step, does "
            "not allow. Use precision='auto'."
        )
    if params["norm"] == "aux":
        raise ValueError(
            "norm='aux' trains the auxiliary layers in a parameter group of their own, and LBFGS "
            "takes one group only. Use another optimizer."
        )


def has_own_loader(net: Parameterized, which: str) -> bool:
    """Whether "iterator_train" or "iterator_valid" is a data loader that rules the batches."""
    given = net.get_params_for(which)
    if which == "iterator_train" and given.get("shuffle"):
        given.pop("shuffle")  # as plans are in any case
    return net.get_params(deep=False)[which] is not DataLoader or not set(given) <= OF_READING


def defers(net: Parameterized, resampler: Any) -> bool:
    """Whether anything of a fit begins with `start_epoch`: rows, weights, a loss, an average."""
    params = net.get_params(deep=False)
    has_late_loss = DeferredLoss in (find_loss(params["criterion"]), type(params["criterion"]))
    others = params["class_weight"], params["averaging"]
    return resampler is not None or has_late_loss or any(one is not None for one in others)


def check_resampling(net: Parameterized, resampler: Any) -> None:
    """Refuse a resampler that does not fit the composition; warn where no noise would be left."""
    params = net.get_params(deep=False)
    composition, own = params["composition"], getattr(resampler, "composition", None)
    makes_plans = isinstance(resampler, EpochSampler)
    wanted = "even" if own is None else f"{own!r} or 'even'"
    if own is not None and composition not in ("even", own):
        raise ValueError(
            f"composition={composition!r} is a drawing of other samplers than "
            f"resampler={resampler!r}: use {wanted}."
        )
    if resampler is not None and not makes_plans and composition != "even":
        raise ValueError(
            f"composition={composition!r} is a drawing of this library's samplers, and "
            f"resampler is {resampler!r}. Use composition='even' with it."
        )
    if resampler is not None and has_own_loader(net, "iterator_train"):
        raise ValueError(
            "iterator_train, with its settings, rules which rows a batch has, and so does the "
            f"resampler {resampler!r}. Set one: leave iterator_train out, or pass resampler=None."
        )
    batch_size = params["batch_size"]
    appends = "appended" in (composition, own)  # natural rows are as many as without noise
    noisy = makes_plans and resampler.makes_noise and not appends
    if noisy and not is_auto(batch_size) and 0 < batch_size <= MIN_NATURAL_ROWS:
        warn_user(
            f"batch_size={batch_size} leaves no room for noise, because every batch keeps "
            f"{MIN_NATURAL_ROWS} natural rows for batch norm's statistics. Use larger batches."
        )
