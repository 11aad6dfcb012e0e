"""Two routes through one network: natural rows in one call, noise rows in another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sklearn_open.nn._aux_bn import named_layers
from sklearn_open.nn._outputs import map_rows
from sklearn_open.nn._routed import RoutedNorm
from sklearn_open.nn._standard_bn import StandardNorm

__all__ = ["forward_mixed", "forward_natural_first", "forward_share", "noise_route"]


@contextmanager
def noise_route(module: nn.Module) -> Iterator[None]:
    """Treat all rows of the calls made inside this context as noise.

    Parameters
    ----------
    module : torch.nn.Module
        A network converted by `convert_norm`. The route lives in its norm layers, so it
        survives copying and pickling of the network; other networks are not affected.

    Raises
    ------
    ValueError
        When the network has batch norm that was not converted, or with ``norm="standard"``.

    Notes
    -----
    Activation checkpointing (`torch.utils.checkpoint`) calls layers again during the backward
    pass, when the context has ended: do not combine the two.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from sklearn_open.nn import convert_norm, noise_route
    >>> net = convert_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    >>> with noise_route(net):
    ...     out = net(torch.rand(2, 3, 8, 8))
    >>> int(net[1].num_batches_tracked)
    0
    """
    layers = _routing_layers(module)
    before = [layer.on_noise_route for layer in layers]
    for layer in layers:
        layer.on_noise_route = True
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer.on_noise_route = was


def _routing_layers(module: nn.Module) -> list[RoutedNorm]:
    routing: list[RoutedNorm] = []
    for path, layer in named_layers(module):
        if isinstance(layer, StandardNorm):
            raise ValueError(
                f"layer {path!r} is a {type(layer).__name__}, which has no noise route: both kinds "
                "of rows share it in one call. Use forward_mixed, or another norm."
            )
        if isinstance(layer, RoutedNorm):
            routing.append(layer)
        elif isinstance(layer, _BatchNorm):
            raise ValueError(
                f"layer {path!r} is a {type(layer).__name__} that does not route noise: its "
                "statistics would mix noise and natural rows. Call convert_norm(module) first."
            )
    return routing


def _shares_calls(module: nn.Module) -> bool:
    """Whether natural and noise rows are meant to go through a network together."""
    norms = [layer for layer in module.modules() if isinstance(layer, RoutedNorm)]
    return bool(norms) and all(isinstance(layer, StandardNorm) for layer in norms)


def forward_mixed(module: nn.Module, x: torch.Tensor, noise_mask: torch.Tensor) -> Any:
    """Call a network on a batch that mixes natural and noise rows.

    The interface of the paper's listing, for people with a training loop of their own: where the
    paper writes ``dar_bn(bn, x, noise_mask)`` in every layer, call this once on the network.

    Parameters
    ----------
    module : torch.nn.Module
        A network converted by `convert_norm`.
    x : torch.Tensor of shape (n, ...)
        Input rows, noise rows among them.
    noise_mask : array-like of shape (n,), dtype bool
        True where a row is noise. All False and all True are allowed.

    Returns
    -------
    torch.Tensor, or tuple or mapping of tensors
        What the network returns, with its rows in the order of `x`.

    Raises
    ------
    ValueError
        When `noise_mask` is not one boolean per row, or the network was not converted.
    """
    if not _shares_calls(module):
        _routing_layers(module)  # refuses before any statistic is changed
    noise_mask = torch.as_tensor(noise_mask, device=x.device)
    if noise_mask.dtype != torch.bool or noise_mask.shape != x.shape[:1]:
        raise ValueError(
            f"noise_mask has dtype {noise_mask.dtype} and shape {tuple(noise_mask.shape)}; needed "
            f"is one torch.bool per row of x, shape ({x.shape[0]},)."
        )
    order = torch.argsort(noise_mask.to(torch.uint8), stable=True)
    out = forward_natural_first(module, x[order], int(noise_mask.sum()))
    back = torch.argsort(order)
    return map_rows(lambda rows: rows[0].index_select(0, back), out)


def forward_natural_first(module: nn.Module, x: torch.Tensor, n_noise: int, **kwargs: Any) -> Any:
    """Call a network on a batch whose last `n_noise` rows are noise.

    Parameters
    ----------
    module : torch.nn.Module
        A network converted by `convert_norm`.
    x : torch.Tensor of shape (n, ...)
        Natural rows first, noise rows last.
    n_noise : int
        Number of noise rows, from 0 to n.
    **kwargs : dict
        Passed on to the network in both calls.

    Returns
    -------
    torch.Tensor, or tuple or mapping of tensors
        What the network returns, natural rows first.
    """
    has_natural = x.shape[0] > n_noise or not n_noise
    return forward_share(module, x, n_noise, has_natural, n_noise > 0, **kwargs)


def forward_share(
    module: nn.Module, x: torch.Tensor, n_noise: int, natural: bool, noise: bool, **kwargs: Any
) -> Any:
    """Call a network on some rows of a batch, in as many calls as the whole batch needs.

    Parameters
    ----------
    module : torch.nn.Module
        A network converted by `convert_norm`.
    x : torch.Tensor of shape (n, ...)
        Natural rows first, noise rows last; there may be none of either kind.
    n_noise : int
        Number of noise rows among them.
    natural, noise : bool
        Whether the whole batch has rows of that kind, so that a call is made for them.
    **kwargs : dict
        Passed on to the network in all calls.

    Returns
    -------
    torch.Tensor, or tuple or mapping of tensors
        What the network returns, natural rows first.
    """
    if noise and _shares_calls(module):
        return module(_any_number_of(x), **kwargs)
    n_natural = x.shape[0] - n_noise
    outputs = [module(_any_number_of(x[:n_natural]), **kwargs)] if natural else []
    if noise:
        with noise_route(module):
            outputs.append(module(_any_number_of(x[n_natural:]), **kwargs))
    return map_rows(torch.cat, *outputs)


def _any_number_of(rows: torch.Tensor) -> torch.Tensor:
    """Tell torch.compile that batches differ in length, so that it makes one graph per route."""
    torch._dynamo.maybe_mark_dynamic(rows, 0)
    return rows
