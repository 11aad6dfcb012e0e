"""The loss on several ranks is that of the whole batch: every rank has all rows of what a network
returns, its own with gradient.

So class weights, unequal shares and losses that look at a batch as a whole are right, and losses,
scores and histories are the same on all ranks.
"""

from __future__ import annotations

from typing import Any

import torch

from sklearn_open._distributed.ranks import Ranks

__all__ = ["whole_batch"]


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
