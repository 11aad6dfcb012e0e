"""The loss on several ranks is that of the whole batch, of which each rank has called a part.

Every rank has what the network returns for all rows, its own with gradient. So class weights,
unequal shares and losses that look at a batch as a whole are right, and losses, scores and
histories are the same on all ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sklearn_open._distributed.ranks import Ranks
from sklearn_open.batching._batches import Batch
from sklearn_open.exceptions import RankEndedError
from sklearn_open.nn._outputs import map_rows
from sklearn_open.nn._routing import forward_share
from sklearn_open.nn._synced import synced_statistics

__all__ = ["forward_together", "whole_batch"]


def forward_together(
    network: Any, x: torch.Tensor, batch: Batch, ranks: Ranks, **kwargs: Any
) -> Any:
    """Call a network on this rank's rows, and return what it returns for the whole batch.

    Parameters
    ----------
    network : torch.nn.Module
        In training mode.
    x : torch.Tensor of shape (n_own, ...)
        The rows of this rank, its natural rows first.
    batch : Batch
        Knows of the whole batch.
    ranks : Ranks
        Of this training; every one makes the same calls, if need be with 0 rows.
    **kwargs : dict
        Passed on to the network.
    """
    n_noise = batch.n_noise
    n_natural = len(batch[1]) - n_noise
    _, noise = ranks.share.rows(n_natural, n_noise)
    n_own_noise = noise.stop - noise.start
    without = "natural" if len(x) == n_own_noise else "noise" if n_noise > 0 == n_own_noise else ""
    with synced_statistics(ranks), _explained(network, without):
        own = forward_share(network, x, n_own_noise, n_natural > 0, n_noise > 0, **kwargs)

    def whole(outputs: Any) -> torch.Tensor:
        rows = outputs[0]
        wide = rows if rows.dtype == torch.float64 else rows.float()
        return whole_batch(wide, n_natural, n_noise, ranks)

    return map_rows(whole, own)


@contextmanager
def _explained(network: Any, without: str) -> Iterator[None]:
    """Say what is wrong where a network cannot be called without rows of a kind."""
    try:
        yield
    except RankEndedError:
        raise
    except Exception as error:
        if not without:
            raise
        raise ValueError(
            f"{type(network).__name__} was called with 0 {without} rows, as a batch has fewer of "
            "them than there are ranks, and every rank must make the same calls. It said: "
            f"{str(error).splitlines()[0]} (torch.flatten(x, 1) takes 0 rows, x.reshape(len(x), "
            "-1) does not.) Train with a larger batch_size, or on fewer ranks."
        ) from error


def whole_batch(own: torch.Tensor, n_natural: int, n_noise: int, ranks: Ranks) -> torch.Tensor:
    """Return the rows of all ranks, natural rows first, those of this rank with gradient.

    Parameters
    ----------
    own : torch.Tensor of shape (n_own, ...)
        What the network returned for the rows of this rank, its natural rows first.
    n_natural, n_noise : int
        Rows of the whole batch.
    ranks : Ranks
        Of this training.

    Returns
    -------
    torch.Tensor of shape (n_natural + n_noise, ...)
    """
    natural, noise = ranks.share.rows(n_natural, n_noise)
    rows = torch.cat(
        [
            torch.arange(natural.start, natural.stop, device=own.device),
            torch.arange(noise.start, noise.stop, device=own.device) + n_natural,
        ]
    )
    whole: torch.Tensor = _Whole.apply(own, rows, n_natural + n_noise, ranks)
    return whole


class _Whole(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, own: torch.Tensor, rows: torch.Tensor, n_rows: int, ranks: Ranks
    ) -> torch.Tensor:
        ctx.rows, ctx.n_ranks = rows, ranks.share.n_ranks
        whole = own.new_zeros(n_rows, *own.shape[1:])
        whole[rows] = own
        ranks.add_up(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        # Gradients of parameters are averaged over ranks. Of what depends on rows, each rank has a
        # part, and the sum is wanted; of what a loss adds for parameters, all have the whole.
        return grad[ctx.rows] * ctx.n_ranks, None, None, None
