"""How long to train, by how many rows there are: what "auto" stands for in a schedule.

The numbers rest on examples/benchmarks/budget.py; docs/budget.md has the figures.
"""

from __future__ import annotations

import math

__all__ = ["auto_batch_size", "auto_epochs", "auto_warmup", "n_batches"]

SMALL, LARGE = 500, 5000  # rows, where batches double
# What is learnt depends on how many images were seen, each as often as it comes: of so many rows
# about `SEEN_PER_ROOT` times the root of their number, and none less often than `FEWEST_EPOCHS`.
SEEN_PER_ROOT = 4000
FEWEST_EPOCHS = 30
FEWEST_STEPS = 1000  # where batches are large for so many rows
WARMUP_STEPS = 50


def auto_batch_size(n_rows: int) -> int:
    """Return how many rows a batch has, of so many training rows."""
    return 32 if n_rows < SMALL else 64 if n_rows < LARGE else 128


def auto_epochs(n_rows: int, batch_size: int) -> int:
    """Return how many epochs so many rows need, in batches of this size."""
    by_images = math.ceil(SEEN_PER_ROOT / math.sqrt(n_rows))
    by_steps = math.ceil(FEWEST_STEPS / n_batches(n_rows, batch_size))
    return max(by_images, by_steps, FEWEST_EPOCHS)


def auto_warmup(n_rows: int, batch_size: int, max_epochs: int) -> int:
    """Return how many epochs of warm-up there are: a tenth at most."""
    epochs = math.ceil(WARMUP_STEPS / n_batches(n_rows, batch_size))
    return min(epochs, max_epochs // 10)


def n_batches(n_rows: int, batch_size: int) -> int:
    """Return the steps of an epoch."""
    return max(1, math.ceil(n_rows / batch_size))
