"""What noise rows change or train beside the routed norm layers, found by trying."""

from __future__ import annotations

import copy
from weakref import WeakSet

import torch
from torch import nn

from sklearn_open._random import seeded_global_rng
from sklearn_open._warnings import warn_user
from sklearn_open.nn._routed import RoutedNorm
from sklearn_open.nn._routing import noise_route
from sklearn_open.nn._standard_bn import StandardNorm

__all__ = ["warn_of_unrouted"]

_TRIED: WeakSet[nn.Module] = WeakSet()  # once is enough, in a loop of fits
# Buffers that every forward call changes, whatever the rows are (spectral norm).
OF_WEIGHTS = ("_u", "_v", "original0", "original1")


def warn_of_unrouted(module: nn.Module, image_shape: tuple[int, ...]) -> None:
    """Name layers that keep statistics of noise rows, and frozen batch norm among routed layers.

    Parameters
    ----------
    module : torch.nn.Module
        Converted; a copy of it is called on two rows, as noise.
    image_shape : tuple of int
        Shape of a row.
    """
    if module in _TRIED:
        return
    _TRIED.add(module)
    routed = [n for n, layer in module.named_modules() if isinstance(layer, RoutedNorm)]
    changed = _changed_by_noise(module, image_shape)
    if changed:
        warn_user(
            f"noise rows change what {_named(changed)} of {type(module).__name__} keep of the rows "
            "they see, as natural rows do, and predictions may use it. Leave these statistics out "
            "(track_running_stats=False), or take layers of batch norm, which are routed."
        )
    frozen = [
        name
        for name, layer in module.named_modules()
        if type(layer).__name__.startswith("Frozen") and "running_mean" in layer.state_dict()
    ]
    if routed and frozen and not isinstance(module.get_submodule(routed[0]), StandardNorm):
        warn_user(
            f"{_named(frozen)} of {type(module).__name__} are frozen batch norm, which has no "
            "noise route: noise rows train all layers behind the last one that has, "
            f"{routed[-1]!r}. Freeze ordinary batch norm instead (layer.eval() in train), which is "
            "routed."
        )


def _named(names: list[str]) -> str:
    return f"{', '.join(map(repr, names[:3]))}{', ...' if len(names) > 3 else ''}"


def _changed_by_noise(module: nn.Module, image_shape: tuple[int, ...]) -> list[str]:
    """Return the layers whose buffers two rows of noise change, without those that are routed."""
    buffers = [name for name, _ in module.named_buffers() if not name.endswith(OF_WEIGHTS)]
    routed = {n for n, layer in module.named_modules() if isinstance(layer, RoutedNorm)}
    inside = tuple(f"{name}." if name else "" for name in routed)  # second layers included
    asked = [name for name in buffers if not name.startswith(inside)] if inside else buffers
    if not asked:
        return []
    twin = copy.deepcopy(module).train()
    device = next((p.device for p in twin.parameters()), torch.device("cpu"))
    before = {name: twin.get_buffer(name).clone() for name in asked}
    shares = any(isinstance(layer, StandardNorm) for layer in twin.modules())
    with torch.no_grad(), seeded_global_rng(device, 0):
        rows = torch.rand(2, *image_shape, device=device)
        try:
            if shares:
                twin(rows)
            else:
                with noise_route(twin):
                    twin(rows)
        except (RuntimeError, ValueError, TypeError):  # a network that takes more than rows
            return []
    after = dict(twin.named_buffers())
    moved = [n for n in asked if n not in after or not torch.equal(after[n], before[n])]
    return list(dict.fromkeys(name.rpartition(".")[0] or name for name in moved))
