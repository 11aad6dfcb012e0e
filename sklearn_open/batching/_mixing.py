"""Mixup: the natural rows of a batch are mixed with one another, and the loss with them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sklearn_open._random import keyed_generator, keyed_random_state
from sklearn_open.batching._share import Share

__all__ = ["Mix", "draw_mix"]


@dataclass(frozen=True)
class Mix:
    """How the rows of one batch are mixed.

    Attributes
    ----------
    order : torch.Tensor of shape (n_natural,), dtype int64
        Which natural row each natural row is mixed with.
    share : float
        Share of the row itself, in [0, 1]; the other row has the rest.
    codes : torch.Tensor of shape (n,)
        Classes of the other rows; noise rows, which are not mixed, keep their own.
    """

    order: torch.Tensor
    share: float
    codes: torch.Tensor

    def rows(self, x: torch.Tensor, start: int = 0) -> torch.Tensor:
        """Return natural rows mixed: all, or those of a rank, which begin at `start`."""
        order = self.order[start : start + len(x)] - start
        return self.share * x + (1 - self.share) * x[order]


def draw_mix(
    alpha: float,
    codes: torch.Tensor,
    n_natural: int,
    seed: int,
    epoch: int,
    batch: int,
    n_ranks: int = 1,
) -> Mix:
    """Draw one share from Beta(alpha, alpha) and one partner for every natural row.

    Parameters
    ----------
    alpha : float
        Above 0; 1 is uniform.
    codes : torch.Tensor of shape (n,)
        Classes, those of natural rows first.
    n_natural : int
        How many rows are natural.
    seed, epoch, batch : int
        What the random numbers are keyed by.
    n_ranks : int, default=1
        How many share the batch: rows are mixed with those of the same rank.
    """
    share = float(keyed_random_state(seed, "mixup", epoch, batch).beta(alpha, alpha))
    orders = []
    for of_rank in (Share(rank, n_ranks) for rank in range(n_ranks)):
        rows, _ = of_rank.rows(n_natural, 0)
        generator = keyed_generator(codes.device, seed, "mixup", epoch, batch, *of_rank.key)
        n = rows.stop - rows.start
        orders.append(rows.start + torch.randperm(n, generator=generator, device=codes.device))
    order = torch.cat(orders)
    return Mix(order, share, torch.cat([codes[:n_natural][order], codes[n_natural:]]))
