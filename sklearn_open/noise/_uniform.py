"""Uniform noise."""

from __future__ import annotations

import torch

from sklearn_open.noise._base import NoiseFamily

__all__ = ["UniformNoise"]


class UniformNoise(NoiseFamily):
    """Pixels uniform over the feasible range."""

    def sample(
        self, codes: torch.Tensor, shape: tuple[int, ...], generator: torch.Generator
    ) -> torch.Tensor:
        """Draw uniform images; see `NoiseFamily.sample`."""
        return torch.rand((len(codes), *shape), generator=generator, device=generator.device)
