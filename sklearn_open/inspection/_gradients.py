"""Gradients of each class with and without noise (section 3.3 of the paper)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from sklearn.utils import Bunch
from torch import nn

from sklearn_open._checks import check_whole
from sklearn_open._random import keyed_seed, seeded_global_rng
from sklearn_open.batching._dataset import TrainSet
from sklearn_open.batching._transform import BatchTransform
from sklearn_open.inspection._base import BLUE, MAX_CLASS_NAMES, ORANGE, largest_first, make_axes
from sklearn_open.inspection._estimators import fitted_classifier, training_set
from sklearn_open.inspection._texts import fit_labels, legend_on_top, name_classes
from sklearn_open.nn import convert_norm
from sklearn_open.nn._outputs import main_output
from sklearn_open.nn._routing import forward_natural_first
from sklearn_open.plan import EpochPlanner

__all__ = ["GradientDisplay", "class_gradients"]


def class_gradients(
    estimator: Any, X: Any, y: Any, *, n_batches: int = 20, noise_grad: str | None = None
) -> Bunch:
    r"""Return size and spread of direction of each class's gradient, with and without noise.

    The gradient of a batch is the sum of one part per class: that of the loss of its rows. Over
    batches :math:`b` in which a class occurs, with parts :math:`g_b` and directions
    :math:`u_b = g_b / |g_b|`, its magnitude is the mean of :math:`|g_b|`, and the variance of its
    direction is the (unbiased) sum of the variances of the components of :math:`u_b`,

    .. math:: \frac{n}{n - 1} \left(1 - \left|\frac{1}{n} \sum_b u_b\right|^2\right),

    which is 0 for parts that all point one way and 1 for directions at random. The paper reports
    how both grow with pure noise, not how they are defined; this is one reading.

    Gradients are those of the fitted weights, in training mode, on the batches that the plan has
    from `start_epoch` on. Without noise means: in the same batches every noise row is the duplicate
    in whose place it is, augmented if the estimator augments; the other rows are the same, bit for
    bit. Nothing is trained, and the estimator is not changed.

    Parameters
    ----------
    estimator : OPeNClassifier
        Fitted with noise, or a fitted search for such a one.
    X, y : array-like
        The training data, as given to `fit`.
    n_batches : int, default=20
        Number of batches, at least 2.
    noise_grad : {"head", "all"} or None, default=None
        What noise rows train under ``norm="dar"``; None takes the estimator's. Under "head" only
        the layers behind the last norm layer see them. The other norms do not read it.

    Returns
    -------
    sklearn.utils.Bunch
        With `magnitude` and `direction_variance` of shape (2, n_classes), without noise first, nan
        for classes in fewer than 2 of the batches; `class_sizes`, the number of training rows of
        each class, and `classes`, their labels.

    Raises
    ------
    ValueError
        For an estimator that trains without noise, or labels `y` that are not the ones it was
        fitted on, in their order. Whether `X` holds the images it was fitted on is not checked.

    Notes
    -----
    Memory holds one gradient (all parameters) for each class; a batch takes one backward pass for
    each class in it, twice.
    """
    classifier = fitted_classifier(estimator)
    check_whole("n_batches", n_batches, 2)  # of one there is no variance
    classifier, train = training_set(classifier, X, y)
    if classifier.transform_.noise is None:
        raise ValueError(
            "The estimator trains without noise (resampler=None, delta=0, or a sampler of its "
            "own), so there is nothing to compare."
        )
    network = copy.deepcopy(classifier.module_).train()
    noise_grad = classifier.noise_grad if noise_grad is None else noise_grad
    convert_norm(network, classifier.norm, noise_grad=noise_grad)
    n_classes = len(classifier.classes_)
    spreads = [_Spread(n_classes), _Spread(n_classes)]
    for epoch, b, rows, n_noise in islice(_rebalanced_batches(train.planner), n_batches):
        codes = torch.as_tensor(train.codes[rows]).to(classifier.device_)
        arms = _both_arms(classifier, train, epoch, b, rows, n_noise)
        for spread, x, noisy in zip(spreads, arms, (0, n_noise), strict=True):
            with seeded_global_rng(x.device, keyed_seed(classifier.seed_, "step", epoch, b)):
                losses = _row_losses(classifier.criterion_, network, x, codes, noisy)
            for c, gradient in _gradients(network, losses, codes):
                spread.add(c, gradient)
    return Bunch(
        magnitude=np.stack([spread.magnitude for spread in spreads]),
        direction_variance=np.stack([spread.direction_variance for spread in spreads]),
        class_sizes=np.bincount(train.planner.codes, minlength=n_classes),
        classes=classifier.class_names_,
    )


def _rebalanced_batches(planner: EpochPlanner) -> Iterator[tuple[int, int, np.ndarray, int]]:
    for epoch in count(planner.start_epoch):
        for b, (rows, n_noise) in enumerate(planner.plan(epoch).batches()):
            yield epoch, b, rows, n_noise


def _both_arms(
    classifier: Any, train: TrainSet, epoch: int, b: int, rows: np.ndarray, n_noise: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the network is fed without noise and with it: they differ in the last rows only.

    The second is the batch as training makes it.
    """
    n_natural = len(rows) - n_noise
    transform: BatchTransform = classifier.transform_
    noise_codes = torch.as_tensor(train.codes[rows[n_natural:]]).to(classifier.device_)
    pixels = torch.as_tensor(np.asarray(train.X[rows])).to(classifier.device_)
    natural, duplicates = pixels[:n_natural], pixels[n_natural:]
    noisy = transform.train(natural, noise_codes, epoch, b, duplicates)
    if not n_noise:
        return noisy, noisy
    # Of a seed of their own, so that natural rows get the crops and flips of training.
    of_duplicates = replace(transform, seed=keyed_seed(transform.seed, "duplicates"))
    instead = of_duplicates.train(duplicates, noise_codes[:0], epoch, b)
    return torch.cat([noisy[:n_natural], instead]), noisy


def _row_losses(
    criterion: Any, network: nn.Module, x: torch.Tensor, codes: torch.Tensor, n_noise: int
) -> torch.Tensor:
    """Return each row's share of the batch's mean loss."""
    per_row = copy.copy(criterion)
    per_row.reduction = "none"
    logits = main_output(forward_natural_first(network, x, n_noise))
    losses = per_row(logits, codes)
    if losses.shape != codes.shape:
        raise ValueError(
            f"criterion {type(criterion).__name__} gives no loss for each row: needed is one that "
            "heeds an attribute `reduction`, as torch's own do."
        )
    return losses / len(codes)


def _gradients(
    network: nn.Module, losses: torch.Tensor, codes: torch.Tensor
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield each class in the batch with the gradient of its rows' loss, laid flat."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    for c in codes.unique().tolist():
        part = losses[codes == c].sum()
        parts = torch.autograd.grad(
            part, weights, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        yield c, torch.cat([gradient.ravel() for gradient in parts])


class _Spread:
    """Gathers, class by class, the mean size and the mean direction of gradients."""

    def __init__(self, n_classes: int) -> None:
        self.count = np.zeros(n_classes)
        self.total_size = np.zeros(n_classes)
        self.total_direction: list[Any] = [0.0] * n_classes

    def add(self, c: int, gradient: torch.Tensor) -> None:
        size = gradient.norm()
        if size > 0:  # else it has no direction
            self.count[c] += 1
            self.total_size[c] += float(size)
            self.total_direction[c] = self.total_direction[c] + gradient / size

    @property
    def magnitude(self) -> np.ndarray:
        return np.where(self.count > 1, self.total_size / np.maximum(self.count, 1), np.nan)

    @property
    def direction_variance(self) -> np.ndarray:
        n = np.where(self.count > 1, self.count, np.nan)
        squared = [float(torch.as_tensor(total).square().sum()) for total in self.total_direction]
        return n / (n - 1) * (1 - np.array(squared) / n**2)


class GradientDisplay:
    """Magnitude and variance of direction of each class's gradient (section 3.3).

    Two panels, with two bars for each class: over-sampled with duplicates only, and with noise.

    Parameters
    ----------
    magnitude, direction_variance : array-like of shape (2, n_classes)
        Without noise, then with noise; see `class_gradients`.
    class_sizes : array-like of shape (n_classes,)
        Training rows of each class.
    classes : array-like of shape (n_classes,) or None, default=None
        Labels; None numbers the classes.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes of shape (2,)
        Where it was drawn.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    class_gradients : The numbers.
    """

    def __init__(
        self, magnitude: Any, direction_variance: Any, class_sizes: Any, *, classes: Any = None
    ) -> None:
        self.magnitude = np.asarray(magnitude, dtype=float)
        self.direction_variance = np.asarray(direction_variance, dtype=float)
        self.class_sizes = np.asarray(class_sizes)
        self.classes = np.arange(len(self.class_sizes)) if classes is None else np.asarray(classes)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_batches: int = 20,
        noise_grad: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> GradientDisplay:
        """Compute gradients and draw.

        Parameters
        ----------
        estimator, X, y, n_batches, noise_grad
            As for `class_gradients`.
        ax : matplotlib Axes, array of two Axes or None, default=None
            Where to draw; one Axes is divided; None makes a figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        GradientDisplay
        """
        numbers = class_gradients(estimator, X, y, n_batches=n_batches, noise_grad=noise_grad)
        return cls(**numbers).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> GradientDisplay:
        """Draw two bars for each class in each panel, the largest class first.

        Of more than 20 classes, of which bars would be too thin, two outlines are drawn.

        Parameters
        ----------
        ax : matplotlib Axes, array of two Axes or None, default=None
            Where to draw; one Axes is divided; None makes a figure.
        **kwargs : dict
            Passed on to matplotlib's ``bar``, or ``stairs`` for outlines, such as ``alpha``.

        Returns
        -------
        GradientDisplay
            The display itself.
        """
        axes = make_axes(self, ax, n_panels=2, figsize=(9, 3.6))
        order = largest_first(self.class_sizes)
        panels = {
            "mean magnitude of the gradient": self.magnitude,
            "variance of its direction": self.direction_variance,
        }
        kinds = (("duplicates only", BLUE, -0.2), ("with pure noise", ORANGE, 0.2))
        for panel, (title, values) in zip(axes, panels.items(), strict=True):
            for row, (label, color, offset) in zip(values, kinds, strict=True):
                _draw(panel, row[order], offset, {"color": color, "label": label, **kwargs})
            panel.set_ylabel(title)
            name_classes(panel, self.classes[order])
        fit_labels(axes)
        for panel in axes:
            legend_on_top(panel, n_columns=1)
        return self


def _draw(ax: Any, values: np.ndarray, offset: float, settings: dict[str, Any]) -> None:
    """Draw a bar for each class; the outline of the bars if they would be thinner than a line."""
    places = np.arange(len(values))
    if len(values) <= MAX_CLASS_NAMES:
        ax.bar(places + offset, values, **{"width": 0.4, **settings})
    else:
        ax.stairs(values, np.append(places, len(values)) - 0.5, **{"linewidth": 1.5, **settings})
