"""Rows to take losses of."""

import pytest
import torch


@pytest.fixture
def logits():
    """Five rows of three logits, float64, that want gradients."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 3, generator=generator, dtype=torch.float64).mul_(2).requires_grad_()
