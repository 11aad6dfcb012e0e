"""Batch norm over the rows of several ranks: their statistics are those of the whole batch.

Whatever layer a network has, torch's arithmetic of batch norm is one function, so that function is
what changes while a step runs: layers keep their class, and those with a `forward` of their own
(timm's) are covered. `torch.nn.SyncBatchNorm` would need CUDA, and layers of its class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

__all__ = ["is_synced", "synced_statistics"]

_open = 0  # contexts; training steps are one at a time


class Group(Protocol):
    """What ranks must be able to do here."""

    def stacked(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensors of all ranks, of one shape, along a new first axis."""
        ...

    def add_up(self, tensor: torch.Tensor) -> None:
        """Put the sum over all ranks in the place of each one's tensor."""
        ...


def is_synced() -> bool:
    """Whether batch norm counts the rows of other ranks now."""
    return _open > 0


@contextmanager
def synced_statistics(group: Group) -> Iterator[None]:
    """Let batch norm in training mode use the statistics of the rows of all ranks.

    Every rank must make the same calls in the same order, if need be with 0 rows.

    Parameters
    ----------
    group : object
        With methods `stacked` and `add_up`, as `GroupRanks` has them.
    """
    global _open
    _open += 1
    try:
        with _Mode(group):
            yield
    finally:
        _open -= 1


class _Mode(TorchFunctionMode):
    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return _batch_norm(self.group, func, *args, **kwargs)
        return func(*args, **kwargs)


def _batch_norm(
    group: Group,
    local: Callable[..., torch.Tensor],
    x: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> torch.Tensor:
    """Do what `torch.nn.functional.batch_norm` does, with its signature."""
    if not training:
        return local(x, running_mean, running_var, weight, bias, False, momentum, eps)
    out, mean, var, count = _Normalize.apply(x, weight, bias, eps, group)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            unbiased = var * (count / (count - 1).clamp(min=1))
            running_mean.mul_(1 - momentum).add_(mean.to(running_mean.dtype), alpha=momentum)
            running_var.mul_(1 - momentum).add_(unbiased.to(running_var.dtype), alpha=momentum)
    return out


class _Normalize(torch.autograd.Function):
    """Batch norm with the mean and the biased variance of all ranks' rows."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        eps: float,
        group: Group,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        mean, var, count = _statistics(x, group)
        ctx.group, ctx.eps = group, eps
        ctx.save_for_backward(x, weight, mean, var, count)
        out = F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)
        ctx.mark_non_differentiable(mean, var, count)
        return out, mean, var, count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor, *_: Any) -> tuple[Any, ...]:
        x, weight, mean, var, count = ctx.saved_tensors
        axes = [0, *range(2, x.ndim)]
        wide = grad.to(mean.dtype)
        invstd = (var + ctx.eps).rsqrt()
        normalized = (x.to(mean.dtype) - _shaped(mean, x)) * _shaped(invstd, x)
        of_bias, of_weight = wide.sum(axes), (wide * normalized).sum(axes)
        sums = torch.stack([of_bias, of_weight])
        ctx.group.add_up(sums)
        sums = sums / count.clamp(min=1)
        scale = invstd if weight is None else invstd * weight.to(mean.dtype)
        of_x = wide - _shaped(sums[0], x) - normalized * _shaped(sums[1], x)
        of_x = (of_x * _shaped(scale, x)).to(x.dtype)
        if weight is None:
            return of_x, None, None, None, None
        return of_x, of_weight.to(weight.dtype), of_bias.to(weight.dtype), None, None


def _statistics(x: torch.Tensor, group: Group) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return mean, biased variance and number of values of each channel, over all ranks.

    Merged as in Chan et al. 1983: sums of squares would cancel in rounding.
    """
    axes = [0, *range(2, x.ndim)]
    wide = x if x.dtype == torch.float64 else x.float()
    n_here = x.numel() // x.shape[1]
    if n_here:
        here = torch.stack(torch.var_mean(wide, axes, correction=0))
    else:
        here = wide.new_zeros(2, x.shape[1])
    parts = group.stacked(torch.cat([here, here.new_full((1, x.shape[1]), n_here)]))
    variances, means, counts = parts.unbind(1)
    count = counts.sum(0)
    mean = (means * counts).sum(0) / count.clamp(min=1)
    squares = ((variances + (means - mean).square()) * counts).sum(0)
    return mean, squares / count.clamp(min=1), count[0]


def _shaped(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return values.reshape(1, -1, *[1] * (x.ndim - 2))
