"""M2m: images of a large class are moved until a teacher takes them for a small one.

Kim, Jeong and Shin (CVPR 2020), with the values and the order of their code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

__all__ = [
    "Translated",
    "TranslationSettings",
    "random_start",
    "seed_probabilities",
    "slot_probabilities",
    "translate",
    "translate_rows",
    "within_length",
]

START_LENGTH = 0.5  # of a channel of all random starts of a batch together
TINY = 1e-10  # what a gradient's length is never below

Network = Callable[[torch.Tensor], torch.Tensor]  # from images in [0, 1] to logits


def seed_probabilities(class_counts: Any, beta: float) -> np.ndarray:
    r"""Return how readily a class gives images to another: P(k0, k) = 1 - beta^max(n_k0 - n_k, 0).

    Parameters
    ----------
    class_counts : array-like of shape (n_classes,)
        Training rows of each class.
    beta : float
        In [0, 1); the nearer to 1, the larger the difference must be.

    Returns
    -------
    ndarray of shape (n_classes, n_classes)
        From the class in the row to that in the column; 0 unless the first is the larger one.
    """
    counts = np.asarray(class_counts, dtype=float)
    larger_by = counts[:, None] - counts
    return np.where(larger_by > 0, 1 - beta ** np.maximum(larger_by, 0), 0.0)


def slot_probabilities(class_counts: Any) -> np.ndarray:
    """Return how likely a row of a balanced batch is to be replaced: 1 - n_k / n_max.

    Parameters
    ----------
    class_counts : array-like of shape (n_classes,)
        Training rows of each class. The largest need not be the first, as it must in the code.
    """
    counts = np.asarray(class_counts, dtype=float)
    return 1 - counts / counts.max()


def random_start(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Draw what is added to seeds before they are moved: uniform, and very little.

    Each channel of all images together is brought to length 0.5 where it is longer, as the
    released code does (of each image, one would have expected).

    Parameters
    ----------
    shape : tuple of int
        Of the images (n, n_channels, ...).
    generator : torch.Generator
        Its device is that of the images.
    """
    return within_length(torch.rand(shape, generator=generator, device=generator.device) - 0.5)


def within_length(start: torch.Tensor) -> torch.Tensor:
    """Return (n, n_channels, ...) with no channel of all rows together longer than 0.5."""
    lengths = start.transpose(0, 1).flatten(1).norm(dim=1)
    factors = (START_LENGTH / lengths.clamp_min(TINY)).clamp_max(1)
    return start * factors.reshape(1, -1, *[1] * (start.ndim - 2))


def translate(
    images: torch.Tensor,
    targets: torch.Tensor,
    seed_classes: torch.Tensor,
    teacher: Network,
    classifier: Network | None,
    *,
    trade_off: float,
    step_size: float,
    n_steps: int,
) -> torch.Tensor:
    """Move images until a teacher takes them for other classes.

    Every step goes `step_size` against the gradient of the teacher's cross-entropy for the target
    plus `trade_off` times the classifier's logit of the class that the image is of.

    Parameters
    ----------
    images : torch.Tensor of shape (n, n_channels, ...)
        In [0, 1].
    targets, seed_classes : torch.Tensor of shape (n,), dtype int64
        What they are to become, and what they are.
    teacher : callable
        From images to logits, row by row.
    classifier : callable or None
        Likewise; None leaves its term out.
    trade_off, step_size : float
    n_steps : int

    Returns
    -------
    torch.Tensor of the shape and dtype of `images`
        In [0, 1].
    """
    for _ in range(n_steps):
        images = images.detach().requires_grad_()
        loss = F.cross_entropy(teacher(images), targets, reduction="sum")
        if classifier is not None:
            own = classifier(images).gather(1, seed_classes[:, None])
            loss = loss + trade_off * own.sum()
        (gradient,) = torch.autograd.grad(loss, images)  # of the images only, not of weights
        lengths = gradient.flatten(1).norm(dim=1) + TINY
        gradient = gradient / lengths.reshape(-1, *[1] * (images.ndim - 1))
        images = (images.detach() - step_size * gradient).clamp(0, 1)
    return images.detach()


@dataclass(frozen=True)
class TranslationSettings:
    """How images are translated: `M2mOverSampler` describes the parameters.

    Attributes
    ----------
    class_counts : ndarray of shape (n_classes,)
        Training rows of each class.
    beta, trade_off, threshold, step_size : float
    n_steps : int
    """

    class_counts: np.ndarray
    beta: float
    trade_off: float
    threshold: float
    step_size: float
    n_steps: int


@dataclass(frozen=True)
class Translated:
    """What became of some slots.

    Attributes
    ----------
    slots : torch.Tensor of shape (n_accepted,), dtype int64
        Which of the slots have got an image.
    seeds : torch.Tensor of shape (n_accepted,), dtype int64
        Row of the images that it was made of.
    images : torch.Tensor of shape (n_accepted, n_channels, ...)
        In [0, 1].
    """

    slots: torch.Tensor
    seeds: torch.Tensor
    images: torch.Tensor


def translate_rows(
    take: Callable[[torch.Tensor], torch.Tensor],
    codes: torch.Tensor,
    targets: torch.Tensor,
    teacher: Network,
    classifier: Network | None,
    settings: TranslationSettings,
    generator: torch.Generator,
    rounded: Callable[[torch.Tensor], torch.Tensor] = lambda images: images,
) -> Translated:
    """Draw a seed for every slot, move it, and keep what the teacher takes for the target.

    A slot is dropped where no row is of a larger class. Whether P(k0, k) lets a seed pass is drawn
    before it is moved, as moving those that fail would be for nothing.

    Parameters
    ----------
    take : callable
        Returns images (m, n_channels, ...) in [0, 1] for indices of rows.
    codes : torch.Tensor of shape (n,)
        Classes of the rows that seeds are drawn from.
    targets : torch.Tensor of shape (n_slots,)
        Classes of the slots.
    teacher, classifier : callable
        See `translate`.
    settings : TranslationSettings
    generator : torch.Generator
        On the device of the codes.
    rounded : callable
        What images go through before they are judged: those that are kept as bytes are rounded.
    """
    chances = torch.as_tensor(
        seed_probabilities(settings.class_counts, settings.beta), device=codes.device
    )
    weights = chances.T[targets][:, codes]  # of every row, for every slot
    slots = torch.nonzero(weights.sum(dim=1) > 0)[:, 0]
    if len(slots) == 0:
        return Translated(slots, slots, take(slots))
    # With replacement, out of all rows: one may be a slot itself, or the seed of several.
    seeds = torch.multinomial(weights[slots], 1, generator=generator)[:, 0]
    passes = torch.rand(len(slots), generator=generator, device=codes.device)
    passed = passes < chances[codes[seeds], targets[slots]]
    images = take(seeds)
    start = random_start(tuple(images.shape), generator).to(images.dtype)
    images = (images + start).clamp(0, 1)[passed]
    slots, seeds = slots[passed], seeds[passed]
    if len(slots) == 0:
        return Translated(slots, seeds, images)
    moved = translate(
        images,
        targets[slots],
        codes[seeds],
        teacher,
        classifier,
        trade_off=settings.trade_off,
        step_size=settings.step_size,
        n_steps=settings.n_steps,
    )
    moved = rounded(moved)
    with torch.no_grad():
        sure = teacher(moved).softmax(dim=1).gather(1, targets[slots][:, None])[:, 0]
    accepted = sure >= settings.threshold
    return Translated(slots[accepted], seeds[accepted], moved[accepted])
