"""The one order in which a batch is made: augment, translate, mix, draw noise, normalise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sklearn_open._constants import constant
from sklearn_open._inputs.pixels import PixelScale
from sklearn_open._random import keyed_generator
from sklearn_open.augment._presets import Augmentation
from sklearn_open.batching._mixing import Mix, draw_mix
from sklearn_open.batching._share import WHOLE, Share
from sklearn_open.noise._base import NoiseFamily

__all__ = ["BatchTransform", "check_normalize"]

SMALLEST = float(np.finfo(np.float32).tiny)  # of the deviations that float32 can divide by


def check_normalize(
    normalize: Any, mean: np.ndarray, std: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation to normalise by, in unit scale.

    Parameters
    ----------
    normalize : "dataset", None or pair of array-likes
        "dataset" takes the statistics given, None changes nothing, a pair ``(mean, std)`` of one
        number per channel is taken as it is, and so is that of a `Normalize` of torchvision or
        kornia.
    mean, std : numpy.ndarray of shape (n_channels,)
        Channel statistics of the training set.

    Raises
    ------
    ValueError
        For anything else.
    """
    if normalize is None:
        return np.zeros_like(mean), np.ones_like(std)
    if isinstance(normalize, str) and normalize == "dataset":
        return mean, np.where(_is_constant(mean, std), 1.0, std)  # which is only centred
    try:
        pair = _pair_of(normalize) if isinstance(normalize, torch.nn.Module) else normalize
        given_mean, given_std = (np.asarray(part, dtype=float) for part in pair)
        given_mean = np.broadcast_to(given_mean, mean.shape).copy()
        given_std = np.broadcast_to(given_std, std.shape).copy()
        usable = np.abs([given_mean, given_std]) <= np.finfo(np.float32).max
        if np.all(given_std >= SMALLEST) and usable.all():
            return given_mean, given_std
    except (TypeError, ValueError, KeyError):
        pass
    raise ValueError(
        f"normalize={normalize!r} is not understood. Pass 'dataset' (statistics of the training "
        f"set), None, or a pair (mean, std) with one number for each of the {len(mean)} channels, "
        "in units where pixels lie in [0, 1], all of std positive."
    )


def _pair_of(module: Any) -> Any:
    """Return mean and deviation of a `Normalize` of torchvision or kornia."""
    held = getattr(module, "flags", None) or vars(module) | dict(module.named_buffers())
    return [np.asarray(held[name], dtype=float).reshape(-1) for name in ("mean", "std")]


def _is_constant(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Which channels are constant as far as float32 can tell: dividing would blow rounding up."""
    rounding = 4 * np.finfo(np.float32).eps * np.abs(mean)
    return std < np.maximum(rounding, SMALLEST)


@dataclass(frozen=True)
class BatchTransform:
    """Turns gathered pixels into what the network is fed.

    Parameters
    ----------
    scale : PixelScale
        Feasible range of the pixels.
    mean, std : numpy.ndarray of shape (n_channels,)
        What unit-scale pixels are normalised by.
    augment : callable or None
        See `sklearn_open.augment`; natural rows only.
    noise : NoiseFamily or None
        Fitted; None when no row is ever noise.
    seed : int
        Root seed of the run.
    mixup : float or None, default=None
        Mixes natural rows, by shares drawn from Beta(mixup, mixup).
    """

    scale: PixelScale
    mean: np.ndarray
    std: np.ndarray
    augment: Augmentation | None
    noise: NoiseFamily | None
    seed: int
    mixup: float | None = None

    def draw_mix(
        self, codes: torch.Tensor, n_natural: int, epoch: int, batch: int, share: Share = WHOLE
    ) -> Mix | None:
        """Return how the natural rows of a batch are mixed, if they are; see `draw_mix`."""
        if self.mixup is None:
            return None
        return draw_mix(self.mixup, codes, n_natural, self.seed, epoch, batch, share.n_ranks)

    def train(
        self,
        natural: torch.Tensor,
        noise_codes: torch.Tensor,
        epoch: int,
        batch: int,
        noise_images: torch.Tensor | None = None,
        mix: Mix | None = None,
        translate: Callable[[torch.Tensor], torch.Tensor] | None = None,
        share: Share = WHOLE,
    ) -> torch.Tensor:
        """Return a training batch, natural rows first.

        Parameters
        ----------
        natural : torch.Tensor of shape (n_natural, n_channels, ...)
            Pixels in their own units.
        noise_codes : torch.Tensor of shape (n_noise,)
            Classes that the noise rows of the whole batch are labelled with.
        epoch, batch : int
            What the random numbers are keyed by: fresh in every batch, the same when repeated.
        noise_images : torch.Tensor of shape (n_noise, n_channels, ...) or None, default=None
            Pixels that are replaced, for noise that starts from images (`from_images`).
        mix : Mix or None, default=None
            How the natural rows are mixed.
        translate : callable or None, default=None
            Puts other images in the place of some natural rows, in unit scale.
        share : Share, default=WHOLE
            Whose rows `natural`, `noise_images` and `mix` are. Noise is drawn for the whole batch,
            and the share of it kept, so that it does not depend on how many ranks there are.

        Returns
        -------
        torch.Tensor of shape (n_natural + n_noise, n_channels, ...), dtype float32
        """
        x = self.scale.to_unit(natural)
        if self.augment is not None and len(x):  # a rank may have no row
            key: tuple[int | str, ...] = ("augment", epoch, batch, *share.key)
            x = self.augment(x, keyed_generator(x.device, self.seed, *key))
        if translate is not None:
            x = translate(x)
        if mix is not None:
            natural_rows, _ = share.rows(len(mix.order), 0)
            x = mix.rows(x, natural_rows.start)
        if len(noise_codes):
            assert self.noise is not None, "the plan has noise rows, the transform has no noise"
            generator = keyed_generator(x.device, self.seed, "noise", epoch, batch)
            _, own = share.rows(0, len(noise_codes))
            images = None
            if noise_images is not None:
                images = x.new_zeros(len(noise_codes), *x.shape[1:])
                images[own] = self.scale.to_unit(noise_images)
            noise = self.noise.replacements(noise_codes, tuple(x.shape[1:]), generator, images)
            noise = noise[own]
            if self.noise.raw:
                return torch.cat([self.normalized(x), noise])
            x = torch.cat([x, noise])
        return self.normalized(x)

    def evaluate(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return rows to predict on: normalised, nothing else."""
        return self.normalized(self.scale.to_unit(pixels))

    def to_pixels(self, x: torch.Tensor, dtype: np.dtype) -> np.ndarray:
        """Return what the network is fed in the units and dtype of the pixels it came from."""
        unit = x.mul(_per_channel(self.std, x)).add_(_per_channel(self.mean, x))
        return self.scale.to_raw(unit, dtype)

    def normalized(self, x: torch.Tensor) -> torch.Tensor:
        """Return unit-scale rows normalised."""
        # Not in place to begin with: a user's augmentation may go on using what it returned.
        return x.sub(_per_channel(self.mean, x)).div_(_per_channel(self.std, x))


def _per_channel(values: np.ndarray, x: torch.Tensor) -> torch.Tensor:
    return constant(values, x.device).reshape(-1, *[1] * (x.ndim - 2))
