"""What all augmentations draw, from the generator that they are handed."""

from __future__ import annotations

import torch

__all__ = ["draw_seed", "randint"]


def draw_seed(generator: torch.Generator) -> int:
    """Draw what code that knows torch's global generators only is seeded with."""
    return int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))


def randint(high: int, n: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    """Draw (n, 1) integers in [0, high), on the generator's device, for use on another."""
    draws = torch.randint(high, (n, 1), generator=generator, device=generator.device)
    return draws.to(device)
