"""Rows as the network is fed them, handed to callbacks: predictions do not normalise them again."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sklearn_open.batching._batches import Batch

__all__ = ["FedRows", "as_fed", "is_fed", "plain"]


class FedRows(torch.Tensor):
    """A tensor that has been normalised; so is what is made of it: slices, copies."""

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
    return Batch(rows.as_subclass(FedRows), codes if labels is None else labels, batch.n_noise)


def is_fed(X: Any, batch: Any) -> bool:
    """Whether rows to predict on come from a batch that was fed.

    Parameters
    ----------
    X : object
        As given to `predict`.
    batch : Batch or None
        The one in work: an array may share its memory.
    """
    if isinstance(X, FedRows):
        return True
    if batch is None or not isinstance(X, (np.ndarray, torch.Tensor)):
        return False
    rows = torch.as_tensor(batch[0])
    if isinstance(X, torch.Tensor):
        return X.untyped_storage().data_ptr() == rows.untyped_storage().data_ptr()
    return rows.device.type == "cpu" and np.may_share_memory(X, rows.detach().numpy())


def plain(X: Any) -> Any:
    """Return rows as an ordinary tensor or array."""
    return X.as_subclass(torch.Tensor) if isinstance(X, FedRows) else X
