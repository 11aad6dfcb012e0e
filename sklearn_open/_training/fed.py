"""Rows as the network is fed them, handed to callbacks: predictions do not normalise them again."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sklearn_open.batching._batches import Batch

__all__ = ["FedRows", "as_fed", "is_fed", "plain"]


# What leaves the values of rows as they are.
KEEPS_VALUES = frozenset(
    "__getitem__ clone detach to cpu cuda float double contiguous cat stack unbind split chunk "
    "index_select narrow view reshape flatten select __iter__ requires_grad_ expand".split()
)


class FedRows(torch.Tensor):
    """A tensor that has been normalised; so are slices and copies of it, but no other values."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch; what it computes is an ordinary tensor."""
        out = super().__torch_function__(func, types, args, kwargs or {})
        if getattr(func, "__name__", "") in KEEPS_VALUES:
            return out
        return plain(out)

    def __deepcopy__(self, memo: dict[int, Any]) -> FedRows:
        """Copy; torch's own wants a subclass that can make others of its kind."""
        copied = plain(self).detach().clone().as_subclass(FedRows)
        memo[id(self)] = copied
        return copied


def as_fed(batch: Any, labels: Any = None) -> Any:
    """Return a batch whose rows say that they are normalised.

    Parameters
    ----------
    batch : Batch
        As it goes to the network, which gets the plain one.
    labels : array-like or None, default=None
        In place of its codes.
    """
    rows, codes = batch
    rows, codes = rows.as_subclass(FedRows), codes if labels is None else labels
    return Batch(rows, codes, batch.n_noise, batch.mix, batch.share)


def is_fed(X: Any, batch: Any) -> bool:
    """Whether rows to predict on come from a batch that was fed.

    Parameters
    ----------
    X : object
        As given to `predict`.
    batch : Batch or None
        The one in work: an array may share its memory, or hold the same numbers.
    """
    if isinstance(X, FedRows):
        return True
    if isinstance(X, (list, tuple)) and len(X):
        return all(isinstance(row, FedRows) for row in X)
    if batch is None or not isinstance(X, (np.ndarray, torch.Tensor)):
        return False
    rows = plain(batch[0]).detach().cpu().numpy()
    X = X.detach().cpu().numpy() if isinstance(X, torch.Tensor) else X
    if np.may_share_memory(X, rows):
        return True
    return X.dtype.kind == "f" and X.shape == rows.shape and np.array_equal(X, rows)


def plain(X: Any) -> Any:
    """Return rows as an ordinary tensor or array."""
    if isinstance(X, (list, tuple)) and len(X) and isinstance(X[0], FedRows):
        return torch.stack([plain(row) for row in X])
    return X.as_subclass(torch.Tensor) if isinstance(X, FedRows) else X
