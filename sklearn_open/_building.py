"""From the `module` parameter to a network that fits the data."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sklearn_open.backbones import SmallCNN, SmallMLP

__all__ = ["build_module", "check_output_width", "main_output"]

# What networks call the number of input channels: torch and this package, timm, others.
CHANNEL_NAMES = ("in_channels", "in_chans", "input_channels", "in_features")


def build_module(
    module: Any, params: dict[str, Any], image_shape: tuple[int, ...] | None, n_classes: int | None
) -> nn.Module:
    """Return a network of its own for one fit.

    Parameters
    ----------
    module : None, torch.nn.Module, class or function
        None makes a small network for the data. An instance is copied, never trained in place.
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
    ValueError
        For ``module=None`` before data are known.
    """
    if isinstance(module, nn.Module):
        return type(module)(**params) if params else copy.deepcopy(module)
    if module is None:
        if image_shape is None:
            raise ValueError(
                "module=None makes a network that fits the data, which is not known yet. Call "
                "fit, or pass a module."
            )
        module = SmallMLP if len(image_shape) == 1 else SmallCNN
    if image_shape is not None:
        params = {**_facts_taken(module, image_shape[0], n_classes), **params}
    return module(**params)


def _facts_taken(module: Callable[..., Any], n_channels: int, n_classes: Any) -> dict[str, Any]:
    """Return the facts about the data that a class or function has parameters for."""
    try:
        parameters = inspect.signature(module).parameters
    except ValueError:  # a callable written in C
        return {}
    # Factory functions, torchvision's and timm's, pass num_classes on in **kwargs. Of a class's
    # **kwargs nothing is known.
    passes_on = not inspect.isclass(module) and any(
        p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()
    )
    facts = {name: n_channels for name in CHANNEL_NAMES if name in parameters}
    if "num_classes" in parameters or passes_on:
        facts["num_classes"] = n_classes
    return facts


def main_output(output: Any) -> torch.Tensor:
    """Return the logits of what a network returned: the first of several outputs."""
    return output[0] if isinstance(output, (tuple, list)) else output


def check_output_width(module: nn.Module, image_shape: tuple[int, ...], n_classes: int) -> None:
    """Call a network on two blank rows and compare its output with the classes.

    Raises
    ------
    ValueError
        When the network cannot process rows of this shape, or does not return one logit per class.
    """
    name = type(module).__name__
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    training = module.training
    module.eval()  # no statistics are updated, no random numbers drawn
    try:
        with torch.no_grad():
            logits = main_output(module(torch.zeros(2, *image_shape, device=device)))
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
        raise ValueError(
            f"module {name} could not process rows of shape {image_shape} (channels, height, "
            "width): use a network made for such images, set its number of channels with a "
            f"module__ parameter, or resize the images. It said: {error}"
        ) from error
    finally:
        module.train(training)
    shape = tuple(getattr(logits, "shape", ()))
    if shape != (2, n_classes):
        raise ValueError(
            f"module {name} returns an output of shape {shape} for 2 rows; needed is "
            f"(2, {n_classes}), one logit for each of the {n_classes} classes in y. Give its last "
            f"layer {n_classes} outputs (module__num_classes, or the parameter it has for that)."
        )
