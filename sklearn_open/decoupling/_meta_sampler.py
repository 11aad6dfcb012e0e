"""The sampler of BALMS: how often each class is drawn is learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["MetaDraw", "MetaSampler", "draw_balanced"]

EXTREME = 1e-6  # rates begin no nearer to 0 and 1, from where they could not come back
AT_ONCE = 2**22  # random numbers that are held at a time


@dataclass(frozen=True)
class MetaDraw:
    """Rows that were drawn, with what the gradient of their probabilities needs.

    Attributes
    ----------
    rows : torch.Tensor of shape (n_draws,), dtype int64
        Which rows, with replacement.
    codes : torch.Tensor of shape (n_draws,), dtype int64
        Their classes.
    own : torch.Tensor of shape (n_draws,)
        The exponential of the Gumbel number of each of them.
    of_classes : torch.Tensor of shape (n_draws, n_classes)
        Sums of such exponentials over all rows of each class.
    """

    rows: torch.Tensor
    codes: torch.Tensor
    own: torch.Tensor
    of_classes: torch.Tensor


class MetaSampler(nn.Module):
    r"""Rates :math:`\psi_c = \sigma(\theta_c)` at which the rows of each class are drawn.

    A row i is drawn with probability :math:`\psi_{y_i} / \sum_j \psi_{y_j}`.

    Parameters
    ----------
    n_classes : int
    power : float, default=0.0
        What the rates begin as: :math:`a / (\min a + \max a)` with :math:`a_c = (n_c / N)^{-p}`. 0
        draws by instance, 1 nearly balances.
    """

    def __init__(self, n_classes: int, power: float = 0.0) -> None:
        super().__init__()
        self.power = power
        self.begun = False
        self.theta = nn.Parameter(torch.zeros(n_classes))

    def begin(self, class_counts: Any) -> None:
        """Set the rates to what they begin as.

        Parameters
        ----------
        class_counts : array-like of shape (n_classes,)
            Training rows of each class. One without rows is never drawn; should it get some, its
            rate is that of the smallest class.
        """
        counts = np.asarray(class_counts, dtype=float)
        counts = np.maximum(counts, counts[counts > 0].min())
        relative = -self.power * np.log(counts / counts.max())  # of logarithms, which stay finite
        ends = np.logaddexp(relative.min(), relative.max())
        rates = np.clip(np.exp(relative - ends), EXTREME, 1 - EXTREME)
        self.begun = True
        with torch.no_grad():
            self.theta.copy_(torch.as_tensor(np.log(rates / (1 - rates))))

    @property
    def rates(self) -> torch.Tensor:
        """The rates (n_classes,), in (0, 1)."""
        return torch.sigmoid(self.theta)

    def shares(self, class_counts: Any) -> np.ndarray:
        """Return with which probability a draw is of each class.

        Parameters
        ----------
        class_counts : array-like of shape (n_classes,)
            Training rows of each class.
        """
        weights = np.asarray(class_counts) * self.rates.detach().cpu().double().numpy()
        return np.asarray(weights / weights.sum())

    @torch.no_grad()
    def draw(self, codes: torch.Tensor, n_draws: int, generator: torch.Generator) -> MetaDraw:
        """Draw rows, each by the largest of the Gumbel numbers of all rows.

        Parameters
        ----------
        codes : torch.Tensor of shape (n,), dtype int64
            Classes of all rows.
        n_draws : int
            How many rows, with replacement.
        generator : torch.Generator
            On the device of the codes.
        """
        size = max(1, AT_ONCE // len(codes))
        parts = []
        for start in range(0, n_draws, size):
            n = min(size, n_draws - start)
            numbers = torch.empty(n, len(codes), dtype=self.theta.dtype, device=codes.device)
            parts.append(self.draw_by(numbers.exponential_(generator=generator), codes))
        return MetaDraw(*(torch.cat([getattr(part, name) for part in parts]) for name in FIELDS))

    @torch.no_grad()
    def draw_by(self, exponentials: torch.Tensor, codes: torch.Tensor) -> MetaDraw:
        """Draw rows by numbers that are given.

        Parameters
        ----------
        exponentials : torch.Tensor of shape (n_draws, n)
            Of the exponential distribution: the Gumbel numbers are minus their logarithms.
        codes : torch.Tensor of shape (n,), dtype int64
            Classes of all rows.
        """
        gumbel_exp = 1 / exponentials.clamp_min(torch.finfo(exponentials.dtype).tiny)
        rows = (self.rates[codes] * gumbel_exp).argmax(dim=1)
        sums = gumbel_exp.new_zeros(len(gumbel_exp), len(self.theta))
        sums.index_add_(1, codes, gumbel_exp)
        own = gumbel_exp.gather(1, rows[:, None])[:, 0]
        return MetaDraw(rows, codes[rows], own, sums)

    def straight_through(self, draw: MetaDraw) -> torch.Tensor:
        """Return ones (n_draws,) with the gradient of the soft samples' selected entries.

        A soft sample is the softmax, over all rows, of log probability plus Gumbel number
        (temperature 1).
        """
        rates = self.rates
        soft = rates[draw.codes] * draw.own / (draw.of_classes * rates).sum(dim=1)
        return 1 + (soft - soft.detach())  # ones, exactly


FIELDS = ("rows", "codes", "own", "of_classes")


def draw_balanced(codes: np.ndarray, n_draws: int, random_state: np.random.RandomState) -> Any:
    """Draw rows with replacement, of every class that there is equally many, up to one.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Classes of all rows.
    n_draws : int
        How many.
    random_state : numpy.random.RandomState
        Source of all randomness.

    Returns
    -------
    ndarray of shape (n_draws,)
        Rows.
    """
    present, counts = np.unique(codes, return_counts=True)
    starts, order = np.cumsum(counts) - counts, np.argsort(codes, kind="stable")
    places = np.resize(random_state.permutation(len(present)), n_draws)
    nth = random_state.randint(counts[places])
    return random_state.permutation(order[starts[places] + nth])
