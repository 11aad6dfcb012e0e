"""Activations of natural and noise rows around a norm layer (Figs. 4 and 5 of the paper)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sklearn_open._checks import check_whole, is_whole
from sklearn_open._inputs.pixels import PixelStatistics
from sklearn_open.batching._transform import BatchTransform
from sklearn_open.inspection._base import BLUE, ORANGE, make_axes
from sklearn_open.inspection._estimators import fitted_classifier
from sklearn_open.inspection._texts import fit_labels, legend_on_top
from sklearn_open.nn import convert_norm, revert_norm
from sklearn_open.nn._routing import forward_natural_first
from sklearn_open.noise._names import check_noise

__all__ = ["ActivationDistributionDisplay", "activation_distribution"]

# Share of the values at either end that histograms leave out, so that a few do not squash all.
TAIL = 0.001


def activation_distribution(
    estimator: Any,
    X: Any,
    *,
    layer: int | str = 0,
    channel: int | None = None,
    n_noise: int | None = None,
    n_bins: int = 60,
    random_state: Any = None,
) -> Bunch:
    """Return how activations of natural and noise rows are distributed around a norm layer.

    One batch of images and as many noise images goes through the trained network twice: with plain
    batch norm, all rows together, and with DAR-BN, each kind on its own route, whatever the `norm`
    that it was trained with. In both, norm layers use the statistics of the batch, as in training;
    everything else (dropout) is as in prediction. The network itself is not changed.

    Parameters
    ----------
    estimator : OPeNClassifier
        Fitted, or a fitted search for one.
    X : array-like
        Natural images of one batch, say 64 to 256, in any layout that the estimator takes.
    layer : int or str, default=0
        The norm layer: its number, 0 the one next to the input and -1 the last, or its name, as in
        ``module_.named_modules()``. Of a layer that is called several times, the first call counts.
    channel : int or None, default=None
        Channel of that layer; None takes the values of all channels together.
    n_noise : int or None, default=None
        Number of noise images; None takes as many as there are rows in `X`. They are drawn as in
        training, or, for an estimator trained without noise or loaded from a file, from the
        paper's law with the statistics of `X`.
    n_bins : int, default=60
        Number of bins of each histogram.
    random_state : int, RandomState instance or None, default=None
        Fixes the noise.

    Returns
    -------
    sklearn.utils.Bunch
        With densities `natural` and `noise` of shape (3, n_bins), which integrate to 1 over
        `bin_edges` of shape (3, n_bins + 1), and `layer`, the name of the layer. The first axis
        counts input of the layer (in the network with plain batch norm), output of plain batch
        norm, and output of DAR-BN. Both outputs have the same bins. Pixels count alike; the outer
        0.1% of the values at either end are left out.

    Raises
    ------
    ValueError
        For a network without batch norm, for a layer or channel that it does not have, and for a
        layer that does not get a row for each image.
    """
    classifier = fitted_classifier(estimator)
    check_whole("n_bins", n_bins, 1)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    x, n_noise = _mixed_batch(classifier, X, n_noise, seed)
    network = revert_norm(copy.deepcopy(classifier.module_))
    name = _layer_name(network, layer)
    mixed_input, mixed_output = _around_layer(network, name, x, 0)
    _, routed_output = _around_layer(convert_norm(network), name, x, n_noise)
    if channel is not None:
        mixed_input, mixed_output, routed_output = (
            _one_channel(part, channel) for part in (mixed_input, mixed_output, routed_output)
        )
    n_natural = len(x) - n_noise
    edges = [_bin_edges(n_bins, mixed_input)] + 2 * [
        _bin_edges(n_bins, mixed_output, routed_output)
    ]

    def densities(rows: slice) -> np.ndarray:
        values = (part[rows] for part in (mixed_input, mixed_output, routed_output))
        pairs = zip(values, edges, strict=True)
        return np.stack([np.histogram(v, bins, density=True)[0] for v, bins in pairs])

    return Bunch(
        bin_edges=np.stack(edges),
        natural=densities(slice(None, n_natural)),
        noise=densities(slice(n_natural, None)),
        layer=name,
    )


def _mixed_batch(
    classifier: Any, X: Any, n_noise: int | None, seed: int
) -> tuple[torch.Tensor, int]:
    """Return natural rows, not augmented, then noise rows, as the network is fed them."""
    images = np.asarray(classifier.get_dataset(X).X)
    n_noise = len(images) if n_noise is None else check_whole("n_noise", n_noise, 1)
    codes = np.arange(n_noise) % len(classifier.classes_)  # classes in turn, for their own laws
    transform: BatchTransform = classifier.transform_
    noise = transform.noise
    if noise is None:
        statistics = PixelStatistics.of(images, transform.scale)
        noise = check_noise("gaussian").fit(images, codes, statistics)
    transform = replace(transform, augment=None, noise=noise, seed=seed)
    device = classifier.device_
    pixels, labels = torch.as_tensor(images).to(device), torch.as_tensor(codes).to(device)
    starts = pixels[torch.arange(n_noise, device=device) % len(pixels)]  # of additive noise
    return transform.train(pixels, labels, 0, 0, starts), n_noise


def _layer_name(network: nn.Module, layer: int | str) -> str:
    names = [name for name, part in network.named_modules() if isinstance(part, _BatchNorm)]
    if not names:
        raise ValueError(
            f"{type(network).__name__} has no batch norm layer, around which to look at "
            "activations."
        )
    if isinstance(layer, str) and layer in names:
        return layer
    if is_whole(layer):
        if -len(names) <= layer < len(names):
            return names[layer]
    raise ValueError(
        f"layer={layer!r} is not a norm layer of the network. Pass a number from 0 to "
        f"{len(names) - 1}, or one of {', '.join(map(repr, names))}."
    )


def _around_layer(
    network: nn.Module, name: str, x: torch.Tensor, n_noise: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return input and output of a layer, natural rows first, with statistics of the batch."""
    network.eval()
    for part in network.modules():
        part.training = isinstance(part, _BatchNorm)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def keep(layer: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen.append((args[0].clone(), output.clone()))  # layers behind may work in place

    hook = network.get_submodule(name).register_forward_hook(keep)
    with torch.no_grad():
        forward_natural_first(network, x, n_noise)
    hook.remove()
    n_routes = 2 if n_noise else 1
    first_calls = seen[:: max(1, len(seen) // n_routes)]  # of each route, one after the other
    n_rows = sum(len(before) for before, _ in first_calls)
    if n_rows != len(x):
        raise ValueError(
            f"Layer {name!r} was called with {n_rows} rows for a batch of {len(x)}, so which of "
            "them are noise cannot be told. Pass another layer."
        )
    before, after = (
        torch.cat(parts).float().cpu().numpy() for parts in zip(*first_calls, strict=True)
    )
    return before, after


def _one_channel(values: np.ndarray, channel: int) -> np.ndarray:
    if not 0 <= channel < values.shape[1]:
        raise ValueError(f"channel={channel}: the layer has channels 0 to {values.shape[1] - 1}.")
    return values[:, [channel]]


def _bin_edges(n_bins: int, *values: np.ndarray) -> np.ndarray:
    tails = [np.quantile(part, [TAIL, 1 - TAIL]) for part in values]
    low, high = np.min(tails), np.max(tails)
    return np.linspace(low, high if high > low else low + 1, n_bins + 1)


class ActivationDistributionDisplay:
    """Distributions of activations of natural and noise rows (Figs. 4 and 5).

    Three panels: the input of a norm layer, its output with plain batch norm, and with DAR-BN.
    Plain batch norm leaves two distributions where there were two; DAR-BN makes them one, up to
    their shapes. Each title has the overlap, the area that the two distributions share.

    Parameters
    ----------
    bin_edges : array-like of shape (3, n_bins + 1)
        Edges of the bins of each panel.
    natural, noise : array-like of shape (3, n_bins)
        Densities, each integrating to 1.
    layer : str or None, default=None
        Name of the layer.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes of shape (3,)
        Where it was drawn.
    figure_ : matplotlib Figure
        Their figure.

    See Also
    --------
    activation_distribution : The numbers.
    """

    panels = ("input", "output, plain batch norm", "output, DAR-BN")

    def __init__(
        self, bin_edges: Any, natural: Any, noise: Any, *, layer: str | None = None
    ) -> None:
        self.bin_edges = np.asarray(bin_edges, dtype=float)
        self.natural = np.asarray(natural, dtype=float)
        self.noise = np.asarray(noise, dtype=float)
        self.layer = layer

    @property
    def overlap(self) -> np.ndarray:
        """Area that the two distributions of each panel share, from 0 to 1, of shape (3,)."""
        shared = np.minimum(self.natural, self.noise) * np.diff(self.bin_edges, axis=1)
        return shared.sum(axis=1)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        layer: int | str = 0,
        channel: int | None = None,
        n_noise: int | None = None,
        n_bins: int = 60,
        random_state: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> ActivationDistributionDisplay:
        """Call the network, count and draw.

        Parameters
        ----------
        estimator, X, layer, channel, n_noise, n_bins, random_state
            As for `activation_distribution`.
        ax : matplotlib Axes, array of three Axes or None, default=None
            Where to draw; one Axes is divided; None makes a figure.
        **kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        ActivationDistributionDisplay
        """
        counts = activation_distribution(
            estimator,
            X,
            layer=layer,
            channel=channel,
            n_noise=n_noise,
            n_bins=n_bins,
            random_state=random_state,
        )
        return cls(**counts).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> ActivationDistributionDisplay:
        """Draw two histograms in each panel, natural rows filled, noise as a line.

        Parameters
        ----------
        ax : matplotlib Axes, array of three Axes or None, default=None
            Where to draw; one Axes is divided; None makes a figure.
        **kwargs : dict
            Passed on to matplotlib's ``stairs``, such as ``alpha``.

        Returns
        -------
        ActivationDistributionDisplay
            The display itself.
        """
        axes = make_axes(self, ax, n_panels=3, figsize=(10, 3.2))
        for p, panel in enumerate(axes):
            filled = {"label": "natural", "color": BLUE, "alpha": 0.5, "fill": True, **kwargs}
            outline = {"label": "pure noise", "color": ORANGE, "linewidth": 2, **kwargs}
            panel.stairs(self.natural[p], self.bin_edges[p], **filled)
            panel.stairs(self.noise[p], self.bin_edges[p], **outline)
            panel.set(xlabel="activation", yticks=[])
            panel.set_title(f"{self.panels[p]}\noverlap {self.overlap[p]:.0%}", fontsize="medium")
        axes[0].set_ylabel("density" if self.layer is None else f"density at {self.layer}")
        legend_on_top(axes[0], n_columns=1)
        room = axes[0].get_ylim()[1] / axes[0].dataLim.y1  # the same in all panels
        for panel in axes[1:]:
            panel.set_ylim(0, room * panel.dataLim.y1)
        fit_labels(axes)
        return self
