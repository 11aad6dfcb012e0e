"""Pretrained networks whose weights are for other classes: they get a fresh last layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from sklearn_open._checks import listed
from sklearn_open._warnings import warn_user

__all__ = ["make_with_fresh_head", "plain_call", "tell_of_fresh_head"]


def make_with_fresh_head(maker: Callable[..., Any], params: dict[str, Any]) -> Any:
    """Call what makes a network; pretrained weights for another number of classes get a new head.

    torchvision refuses another number, and so does timm for a checkpoint of one's own.

    Parameters
    ----------
    maker : callable
        Makes the network.
    params : dict
        What it is called with.

    Warns
    -----
    UserWarning
        With the names of layers whose weights are fresh.
    """
    maker, params = plain_call(maker, params)
    function = getattr(maker, "func", maker)
    home = getattr(function, "__module__", None) or ""
    if home.startswith("torchvision.models"):
        return _of_torchvision(maker, params)
    if home.startswith("timm.") and params.get("checkpoint_path"):
        return _of_timm(maker, params)
    return maker(**params)


def plain_call(
    maker: Callable[..., Any], params: dict[str, Any]
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return what a `functools.partial` calls, and all keywords that it calls it with."""
    if isinstance(maker, partial) and not maker.args:
        return maker.func, {**maker.keywords, **params}
    return maker, params


def _of_torchvision(maker: Callable[..., Any], params: dict[str, Any]) -> Any:
    n_known = _classes_of_weights(maker, params.get("weights"))
    n_classes = params.get("num_classes")
    if n_known is None or n_classes in (None, n_known):
        return maker(**params)
    made = maker(**{name: value for name, value in params.items() if name != "num_classes"})
    heads = [name for name, layer in made.named_modules() if _width(layer) == n_known]
    for name in heads:
        parent, _, own = name.rpartition(".")
        holder: Any = made.get_submodule(parent)
        fresh = _alike(made.get_submodule(name), int(n_classes))
        setattr(holder, own, fresh)
    tell_of_fresh_head(made, heads, n_known, n_classes)
    return made


def _classes_of_weights(maker: Any, weights: Any) -> int | None:
    """Return how many classes pretrained weights are for; None without such weights."""
    if weights is None:
        return None
    from torchvision import models

    try:
        known = models.get_model_weights(maker)
    except (AttributeError, TypeError, ValueError):  # a network without weights of its own
        return None
    try:
        names = [*known.__members__, "DEFAULT"]
        if isinstance(weights, str) and weights.rpartition(".")[2] not in names:
            raise ValueError(f"weights={weights!r} are not known. Use one of {listed(names)}.")
        entry = known[weights.rpartition(".")[2]] if isinstance(weights, str) else weights
        return len(entry.meta["categories"])
    except (AttributeError, KeyError, TypeError):  # weights that are for something else
        return None


def _width(layer: nn.Module) -> int | None:
    if isinstance(layer, nn.Linear):
        return layer.out_features
    return layer.out_channels if isinstance(layer, nn.Conv2d) else None


def _alike(layer: Any, width: int) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, width, bias=layer.bias is not None)
    size, has_bias = layer.kernel_size, layer.bias is not None
    return nn.Conv2d(layer.in_channels, width, size, layer.stride, layer.padding, bias=has_bias)


def _of_timm(maker: Callable[..., Any], params: dict[str, Any]) -> Any:
    from timm.models import load_state_dict

    made = maker(**{name: value for name, value in params.items() if name != "checkpoint_path"})
    weights = load_state_dict(params["checkpoint_path"])
    own = made.state_dict()
    other = [n for n in weights if n in own and weights[n].shape != own[n].shape]
    heads = {n for n, layer in made.named_modules() if layer is made.get_classifier()}
    if not other or not {name.rpartition(".")[0] for name in other} <= heads:
        return maker(**params)  # it fits, or timm says what does not
    kept = {name: tensor for name, tensor in weights.items() if name not in other}
    missing, unexpected = made.load_state_dict(kept, strict=False)
    if set(missing) - set(other) or unexpected:
        return maker(**params)
    n_known = weights[other[0]].shape[0]
    tell_of_fresh_head(made, sorted(heads), int(n_known), params.get("num_classes"))
    return made


def tell_of_fresh_head(
    made: nn.Module, heads: list[str], n_known: int | None, n_classes: Any
) -> None:
    """Warn that the weights of some layers are fresh.

    Parameters
    ----------
    made : torch.nn.Module
        The network.
    heads : list of str
        Names of its layers that are fresh.
    n_known : int or None
        Number of classes that the weights are for; None where they have no such layer.
    n_classes : int or None
        That of the network.
    """
    names = ", ".join(map(repr, heads))
    known = f"are for {n_known} classes" if n_known is not None else "have no such last layer"
    warn_user(
        f"the pretrained weights of {type(made).__name__} {known}, and y has "
        f"{n_classes}: {names} is fresh, with weights of chance, and all other layers are as "
        "pretrained."
    )
