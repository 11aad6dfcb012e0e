"""Batch norm over the rows of several ranks: their statistics are those of the whole batch.

Whatever layer a network has, torch's arithmetic of batch norm is one function, so that function is
what changes while the network is called: layers keep their class, and those with a `forward` of
their own (timm's) are covered; not what is scripted, computed by hand, or called again in the
backward pass (activation checkpointing). `torch.nn.SyncBatchNorm` would need CUDA, and layers of
its class.
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
        of_x, of_weight, of_bias = _gradients(grad, x, weight, mean, var, ctx.eps)
        sums = torch.stack([of_weight, of_bias]).to(mean.dtype)
        ctx.group.add_up(sums)
        invstd = (var + ctx.eps).rsqrt()
        scale = invstd if weight is None else invstd * weight.to(mean.dtype)
        slope, offset = (sums * scale) / count.clamp(min=1)
        # What the statistics add is linear in x, as batch norm in eval mode is.
        line = (mean, torch.ones_like(mean), slope * invstd, offset)
        of_x = of_x.sub_(F.batch_norm(x, *line, False, 0.0, 0.0))
        asked = ctx.needs_input_grad
        return of_x, of_weight if asked[1] else None, of_bias if asked[2] else None, None, None


def _gradients(
    grad: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor | None,
    mean: torch.Tensor,
    var: torch.Tensor,
    eps: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients of x for constant statistics, of weight and of bias, in one pass."""
    if not x.numel():
        return torch.empty_like(x), torch.zeros_like(mean), torch.zeros_like(mean)
    gradients: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = (
        torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, mean, var, None, None, False, eps, [True, True, True]
        )
    )
    return gradients


def _statistics(x: torch.Tensor, group: Group) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return mean, biased variance and number of values of each channel, over all ranks.

    Merged as in Chan et al. 1983: sums of squares would cancel in rounding.
    """
    n_here = x.numel() // x.shape[1]
    here = torch.stack(_mean_and_variance(x))
    parts = group.stacked(torch.cat([here, here.new_full((1, x.shape[1]), n_here)]))
    means, variances, counts = parts.unbind(1)
    count = counts.sum(0)
    mean = (means * counts).sum(0) / count.clamp(min=1)
    squares = ((variances + (means - mean).square()) * counts).sum(0)
    return mean, squares / count.clamp(min=1), count[0]


def _mean_and_variance(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean and the biased variance of each channel, of no rows zeros."""
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    zeros = torch.zeros(x.shape[1], dtype=dtype, device=x.device)
    if not x.numel():
        return zeros, zeros
    if x.device.type == "cpu":  # what torch's own batch norm calls there; 15 times as fast
        return torch.batch_norm_update_stats(x, zeros, zeros.clone(), 0.0)
    variance, mean = torch.var_mean(x.to(dtype), [0, *range(2, x.ndim)], correction=0)
    return mean, variance
