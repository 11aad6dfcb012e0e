"""The colour part of SimCLR's augmentation."""

from __future__ import annotations

from functools import cache

import torch

from sklearn_open._random import seeded_global_rng
from sklearn_open.augment._draws import draw_seed

__all__ = ["random_color"]


def random_color(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Jitter colours, drop colour and blur, each for some of the images.

    Parameters
    ----------
    batch : torch.Tensor of shape (n, C, H, W)
        Images in [0, 1].
    generator : torch.Generator
        Where the parameters are drawn.

    Returns
    -------
    torch.Tensor of shape (n, C, H, W)
        In [0, 1], after, for every image on its own,

        1. colour jitter with probability 0.8: brightness, contrast and saturation times
           U(0.6, 1.4), hue plus U(-0.1, 0.1) of the colour circle (the four in an order that is
           drawn once per batch);
        2. grayscale with probability 0.2;
        3. Gaussian blur with probability 0.5: kernel 3x3, sigma U(0.1, 2).

        Images that do not have three channels have no saturation, hue or grayscale: they get
        the jitter of brightness and contrast, and the blur.

    Notes
    -----
    The colour part of SimCLR's augmentation [1]_ by kornia. The OPeN paper gives no strengths;
    these are the public reproductions', who differ in the blur's probability only (0.5 or 0.2).

    References
    ----------
    .. [1] T. Chen, S. Kornblith, M. Norouzi, G. Hinton, "A Simple Framework for Contrastive
       Learning of Visual Representations", ICML 2020.
    """
    with seeded_global_rng(batch.device, draw_seed(generator)):
        for layer in _color_layers(is_rgb=batch.shape[1] == 3):
            batch = layer(batch)
    return batch.clamp(0.0, 1.0)


@cache
def _color_layers(is_rgb: bool) -> list[torch.nn.Module]:
    """Build kornia's layers once: they draw anew in every call, whatever they did before.

    They remember their last draws, so one thread at a time may use them: `seeded_global_rng` sees
    to that.
    """
    import kornia.augmentation as K  # here, as `import sklearn_open` should not pay for it

    # A border that repeats the last pixel, unlike kornia's default, suits 1-pixel images too.
    blur = K.RandomGaussianBlur((3, 3), sigma=(0.1, 2.0), border_type="replicate", p=0.5)
    if not is_rgb:
        return [K.ColorJitter(brightness=0.4, contrast=0.4, p=0.8), blur]
    return [K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8), K.RandomGrayscale(p=0.2), blur]
