"""Standard batch norm on batches that mix natural and noise rows: no routes.

The first row of the OPeN paper's Table 4.
"""

from __future__ import annotations

from typing import ClassVar

from sklearn_open.nn._routed import RoutedNorm

__all__ = ["StandardNorm"]


class StandardNorm(RoutedNorm):
    """A mark on a batch norm layer that natural and noise rows are meant to share.

    The layer is its base class, bit for bit, and takes rows of both kinds in one call: statistics,
    running statistics, gamma, beta and gradients are those of the mixed batch. The mark tells
    `forward_mixed` to make one call, and `noise_route` that there is no route.
    """

    prefix: ClassVar[str] = "Standard"
