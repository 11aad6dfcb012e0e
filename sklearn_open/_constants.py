"""Numbers as tensors on a device, made once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

__all__ = ["constant"]


def constant(
    values: np.ndarray, device: torch.device, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Return numbers on a device, made once: a copy for every batch would be waited for.

    The tensor is shared by all who ask for the same numbers: not to be changed in place.
    """
    values = np.asarray(values, dtype=np.float64)
    return _constant(values.tobytes(), values.shape, device, dtype)


@lru_cache(maxsize=64)
def _constant(
    content: bytes, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    with torch.inference_mode(False):  # whoever asks first may be in it, others may not
        return torch.tensor(np.frombuffer(content).reshape(shape), dtype=dtype, device=device)
