"""Turn a network's batch norm layers into ones that know of noise rows, and back."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _LazyNormBase
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.utils.parametrize import is_parametrized

from sklearn_open._warnings import warn_user
from sklearn_open.exceptions import NoBatchNormWarning, UnsupportedNormError
from sklearn_open.nn._aux_bn import AuxNorm, named_layers
from sklearn_open.nn._dar_bn import DARNorm, check_noise_grad
from sklearn_open.nn._routed import RoutedNorm, routed_class
from sklearn_open.nn._standard_bn import StandardNorm

__all__ = ["NORMS", "convert_norm", "revert_norm"]

M = TypeVar("M", bound=nn.Module)

# What layers call the statistics of rows that they keep.
STATISTICS = r"(running|moving|ema)_(\w+_)?(mean|var|std|avg|covariance)(_\w+)?"
NORMS: dict[str, type[RoutedNorm]] = {"dar": DARNorm, "aux": AuxNorm, "standard": StandardNorm}


def convert_norm(module: M, norm: str = "dar", *, noise_grad: str = "head") -> M:
    """Make every batch norm layer of a network know of noise rows, in place.

    A layer keeps its identity: parameters, buffers, state-dict keys, hooks, training flag, device
    and dtype are untouched, and a layer that is registered twice stays one layer. Only its class
    changes, to a subclass of the one it had, so subclasses (synchronised batch norm, timm's
    ``BatchNormAct2d``, your own) go on doing what they do.

    Parameters
    ----------
    module : torch.nn.Module
        Any network; changed in place.
    norm : {"dar", "aux", "standard"}, default="dar"
        What the layers become: "dar" is Distribution-Aware Routing Batch Normalization (paper,
        section 3.2), see `DARNorm`. The other two are what it is compared with in Table 4: "aux"
        gives each layer a second one for noise rows, see `AuxNorm`; "standard" lets both kinds of
        rows share the layer, see `StandardNorm`. Converting again changes it.
    noise_grad : {"head", "all"}, default="head"
        What noise rows train under ``norm="dar"``; see `DARNorm`. The other norms have one way
        only, gradients for all, and do not read it. Converting again changes it.

    Returns
    -------
    torch.nn.Module
        `module` itself.

    Raises
    ------
    ValueError
        For an unknown `norm` or `noise_grad`.
    TypeError
        For a `module` that is not an instance of `torch.nn.Module`.
    UnsupportedNormError
        For a layer with batch statistics that cannot be converted, with its path: a lazy layer
        that has not seen data, a scripted layer, or batch norm that is not a subclass of torch's.
        Nothing has been changed then.

    Warns
    -----
    NoBatchNormWarning
        When there is no batch norm layer: noise and natural rows then share every layer.

    See Also
    --------
    revert_norm : The way back.
    noise_route : Send rows down the noise route.
    forward_mixed : Call a network on rows of both kinds.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_open.nn import convert_norm, revert_norm
    >>> net = convert_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    >>> type(net[1]).__name__
    'DARBatchNorm2d'
    >>> type(revert_norm(net)[1]).__name__
    'BatchNorm2d'
    """
    if norm not in NORMS:
        raise ValueError(f"norm={norm!r} is unknown. Use one of {', '.join(map(repr, NORMS))}.")
    check_noise_grad(noise_grad)
    if not isinstance(module, nn.Module):
        raise TypeError(f"module is {module!r}; needed is a torch.nn.Module instance.")
    layers = _batch_norm_layers(module)
    if norm == "aux":
        _refuse_pruned(module)
    if not layers and norm != "standard":
        warn_user(
            f"{type(module).__name__} has no batch norm layer, so there is nothing to convert: "
            "noise rows and natural rows share every layer of it.",
            NoBatchNormWarning,
        )
    kind = NORMS[norm]
    for layer in layers:
        if not isinstance(layer, kind):
            _revert(layer)
            layer.__class__ = routed_class(kind, type(layer))
            layer.take_over()
        if isinstance(layer, DARNorm):
            layer.noise_grad = noise_grad
    return module


def revert_norm(module: M) -> M:
    """Undo `convert_norm`, in place.

    Parameters
    ----------
    module : torch.nn.Module
        A network; layers that were not converted are left alone.

    Returns
    -------
    torch.nn.Module
        `module` itself, every layer with the class it had before. Second layers (``norm="aux"``)
        are gone.
    """
    for _, layer in named_layers(module):
        _revert(layer)
    return module


def _revert(layer: Any) -> None:
    if isinstance(layer, RoutedNorm):
        layer.give_back()
        layer.__class__ = layer.base_class  # type: ignore[assignment]


def _batch_norm_layers(module: nn.Module) -> list[Any]:
    layers = []
    for path, layer in named_layers(module):
        if isinstance(layer, _LazyNormBase):
            raise UnsupportedNormError(
                f"layer {path!r} is a {type(layer).__name__} that does not know its channels yet. "
                "Call the network once on a batch before convert_norm."
            )
        if isinstance(layer, _BatchNorm):
            if is_parametrized(layer):
                raise UnsupportedNormError(
                    f"layer {path!r} is a {type(layer).__name__}: gamma and beta that are computed "
                    "from other parameters cannot be held constant, or doubled, for noise rows. "
                    "Remove the parametrization first."
                )
            layers.append(layer)
        elif _mixes_rows(layer):
            raise UnsupportedNormError(
                f"layer {path!r} is a {type(layer).__name__}: it keeps batch statistics, but it is "
                "not a subclass of torch's batch norm, so noise rows cannot be routed apart. "
                "Replace it with a torch.nn.BatchNorm layer (or a subclass)."
            )
    return layers


def _refuse_pruned(module: nn.Module) -> None:
    for path, layer in named_layers(module):
        computed = [name for name in ("weight", "bias") if name in vars(layer)]
        if isinstance(layer, _BatchNorm) and computed:
            raise UnsupportedNormError(
                f"layer {path!r} is a {type(layer).__name__} whose {computed[0]} is computed from "
                "other parameters (pruned): it cannot get a second layer for noise rows. Make the "
                "pruning permanent (torch.nn.utils.prune.remove), or use norm='dar'."
            )


def _mixes_rows(layer: nn.Module) -> bool:
    """Whether a layer that is not torch's batch norm keeps statistics over rows."""
    per_row = isinstance(layer, _InstanceNorm)
    # torchvision's and timm's frozen layers have the buffers but never compute statistics.
    frozen = type(layer).__name__.startswith("Frozen")
    has_statistics = any(re.fullmatch(STATISTICS, name) for name in layer._buffers)
    return has_statistics and not per_row and not frozen
