"""From the `module` parameter to a network that fits the data."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from sklearn_open._random import seeded_global_rng
from sklearn_open._training.weight_files import make_network
from sklearn_open.backbones import SmallCNN, SmallMLP
from sklearn_open.backbones._class_layers import CLASS_NAMES
from sklearn_open.backbones._names import find_maker
from sklearn_open.nn._modes import in_eval_mode
from sklearn_open.nn._outputs import main_output

__all__ = [
    "as_weights",
    "build_module",
    "check_output_width",
    "check_single_rows",
    "facts_taken",
    "with_defaults",
]

# What networks call the number of channels of images and of columns of tables.
CHANNEL_NAMES = ("in_channels", "in_chans", "input_channels")
COLUMN_NAMES = ("in_features", "n_features", "input_dim")


def build_module(
    module: Any, params: dict[str, Any], image_shape: tuple[int, ...] | None, n_classes: int | None
) -> nn.Module:
    """Return a network of its own for one fit.

    Parameters
    ----------
    module : None, str, torch.nn.Module, class or function
        None makes a small network for the data. A string is the name of a class or function (see
        `find_maker`). An instance is copied, never trained in place.
        A class or function is called with `params`, and with the number of classes and channels
        where it takes them and `params` does not name them.
    params : dict
        The estimator's ``module__...`` parameters.
    image_shape : tuple of int or None
        Shape of a row; None before data are known.
    n_classes : int or None
        None before data are known.

    Raises
    ------
    TypeError
        For something that does not make a network.
    ValueError
        For ``module=None`` before data are known, and for parameters that do not fit.
    """
    if isinstance(module, nn.Module):
        return type(module)(**params) if params else _copied(module)
    if module is None:
        if image_shape is None:
            raise ValueError(
                "module=None makes a network that fits the data, which is not known yet. Call "
                "fit, or pass a module."
            )
        module = SmallMLP if len(image_shape) == 1 else SmallCNN
    elif isinstance(module, str):
        module = find_maker(module)
    if not callable(module):
        raise TypeError(
            f"module={module!r} is not a network. Pass a class, a function that returns a network, "
            "its name, an instance of torch.nn.Module, or None for a small network that fits the "
            "data."
        )
    if image_shape is not None:
        params = {**facts_taken(module, image_shape, n_classes), **params}
    try:
        made = make_network(module, params)
    except OSError as error:
        raise ValueError(
            f"module {getattr(module, '__name__', module)} could not be made, as a file cannot be "
            f"read: {error}. If it reads weights: an estimator that was saved has its own, so "
            "pass what makes the network without reading any."
        ) from error
    except TypeError as error:
        raise ValueError(
            f"module {getattr(module, '__name__', module)} could not be made with {params}. Pass "
            f"what it needs as module__<name>=... It said: {error}"
        ) from error
    if not isinstance(made, nn.Module):
        raise TypeError(f"module={module!r} returned {made!r}, which is no torch.nn.Module.")
    return made


def _copied(module: nn.Module) -> nn.Module:
    if any(isinstance(parameter, UninitializedParameter) for parameter in module.parameters()):
        raise ValueError(
            f"module is a {type(module).__name__} with lazy layers that have not seen data. Call "
            "it once on a batch, or pass a class or function that makes it."
        )
    return copy.deepcopy(module)


def facts_taken(
    module: Callable[..., Any], image_shape: tuple[int, ...], n_classes: int | None
) -> dict[str, Any]:
    """Return the facts about the data that a class or function has parameters for.

    Parameters
    ----------
    module : class or function
        Makes a network.
    image_shape : tuple of int
        Shape of a row.
    n_classes : int or None
        Number of classes.
    """
    try:
        parameters = inspect.signature(module).parameters
    except ValueError:  # a callable written in C
        return {}
    input_names = COLUMN_NAMES if len(image_shape) == 1 else CHANNEL_NAMES
    facts: dict[str, Any] = {name: image_shape[0] for name in input_names if name in parameters}
    facts |= {name: n_classes for name in CLASS_NAMES if name in parameters}
    # Factory functions pass **kwargs on: torchvision's and timm's take num_classes in this way,
    # timm's in_chans as well. Of a class's **kwargs nothing is known.
    factory = inspect.unwrap(getattr(module, "func", module))
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    if takes_any and not inspect.isclass(factory):
        facts.setdefault("num_classes", n_classes)
        if getattr(factory, "__module__", "").startswith("timm."):
            facts.setdefault("in_chans", image_shape[0])
    return facts


def check_output_width(module: nn.Module, image_shape: tuple[int, ...], n_classes: int) -> None:
    """Call a network on two blank rows and compare its output with the classes.

    Raises
    ------
    ValueError
        When the network cannot process rows of this shape, or does not return one logit per class.
    """
    name = type(module).__name__
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    try:
        with in_eval_mode(module), torch.no_grad():
            logits = main_output(module(torch.zeros(2, *image_shape, device=device)))
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
        raise ValueError(
            f"module {name} could not process rows of shape {image_shape} (channels, height, "
            f"width). {_advice(image_shape)} It said: {error}"
        ) from error
    shape = tuple(getattr(logits, "shape", ()))
    if shape != (2, n_classes):
        raise ValueError(
            f"module {name} returns an output of shape {shape} for 2 rows; needed is "
            f"(2, {n_classes}), one logit for each of the {n_classes} classes in y. Give its last "
            f"layer {n_classes} outputs (module__num_classes, or the parameter it has for that)."
        )


def _advice(image_shape: tuple[int, ...]) -> str:
    if len(image_shape) == 1:
        return "Use a network made for such rows, or set the parameter for its number of inputs."
    other = "Use a network made for such images, set the parameter it has for their number of "
    other += "channels (as module__<name>), or resize the images."
    if image_shape[0] != 1:
        return other
    _, height, width = image_shape
    colour = f"numpy.repeat(X.reshape(-1, 1, {height}, {width}), 3, axis=1)"
    return f"If it wants colour, repeat the gray channel: X = {colour}. {other}"


def check_single_rows(module: nn.Module, image_shape: tuple[int, ...]) -> None:
    """Train a copy of a network on one blank row, where batches are to have one row.

    Raises
    ------
    ValueError
        When the network cannot: batch norm of a single value per channel is not defined.
    """
    twin = copy.deepcopy(module).train()
    device = next((p.device for p in twin.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad(), seeded_global_rng(device, 0):
            twin(torch.zeros(1, *image_shape, device=device))
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"batches have a single row (batch_size=1, or no more rows to train on), and module "
            f"{type(module).__name__} cannot be trained on one row of shape {image_shape}, most "
            "likely because a batch norm layer is left with one value per channel. Use "
            f"batch_size=2 or more. It said: {error}"
        ) from error


def with_defaults(
    optimizer: Any, given: dict[str, Any], device: torch.device, module: Any
) -> dict[str, Any]:
    """Return an optimiser's arguments, with the paper's values for SGD where none are given."""
    if optimizer is not torch.optim.SGD:
        return given
    arguments = {"momentum": 0.9, "weight_decay": 2e-4, **given}
    # With dampening, momentum does not begin at zero (see `begin_momentum`).
    one_pass = not {"foreach", "differentiable", "dampening"} & arguments.keys()
    is_sparse = any(getattr(layer, "sparse", False) is True for layer in module.modules())
    if one_pass and not is_sparse and device.type in ("cpu", "cuda"):
        arguments.setdefault("fused", True)
    return arguments


def as_weights(name: str, value: Any) -> Any:
    """Return float32 for arrays and tensors of floats, and for whatever is given as ``weight``."""
    if name.rpartition("__")[2] == "class_counts":  # kept in double precision
        return value
    is_weight = name.rpartition("__")[2] in ("weight", "pos_weight") and value is not None
    if is_weight and not isinstance(value, (torch.Tensor, str)):
        value = np.asarray(value, dtype=float)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        value = torch.as_tensor(value.astype(float))
    converts = isinstance(value, torch.Tensor) and (is_weight or value.dtype == torch.float64)
    return value.float() if converts else value
