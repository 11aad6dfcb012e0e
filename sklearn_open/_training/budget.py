"""How long to train, by how many rows there are: what "auto" stands for in a schedule.

The numbers were found by examples/benchmarks/budget.py; docs/budget.md has the figures.
"""

from __future__ import annotations

import math

__all__ = ["auto_batch_size", "auto_epochs", "auto_warmup", "steps_wanted"]

FEWEST_STEPS = 1000
STEPS_PER_ROOT = 32  # steps grow with the root of the number of rows
WARMUP_STEPS = 50


def auto_batch_size(n_rows: int) -> int:
    """Return how many rows a batch has, of so many training rows."""
    return 64 if n_rows < 8000 else 128


def steps_wanted(n_rows: int) -> int:
    """Return after how many steps a network of its own has learnt most of so many rows."""
    return max(FEWEST_STEPS, round(STEPS_PER_ROOT * math.sqrt(n_rows)))


def auto_epochs(n_rows: int, batch_size: int) -> int:
    """Return the number of epochs that has the steps wanted, and not less than one epoch."""
    return max(1, math.ceil(steps_wanted(n_rows) / n_batches(n_rows, batch_size)))


def auto_warmup(n_rows: int, batch_size: int, max_epochs: int) -> int:
    """Return the number of epochs of warm-up, at most a tenth of all."""
    epochs = math.ceil(WARMUP_STEPS / n_batches(n_rows, batch_size))
    return min(epochs, max_epochs // 10)


def n_batches(n_rows: int, batch_size: int) -> int:
    """Return the steps of an epoch."""
    return max(1, math.ceil(n_rows / batch_size))
