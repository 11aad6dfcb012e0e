"""What the machine offers: device and precision, each decided here and nowhere else."""

from __future__ import annotations

import torch

__all__ = ["PRECISIONS", "autocast_dtype", "resolve_device"]

PRECISIONS = ("auto", "float32", "bf16")


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device to train on; "auto" is the GPU where CUDA has one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def autocast_dtype(
    precision: str, device: torch.device, image_shape: tuple[int, ...]
) -> torch.dtype | None:
    """Return the dtype to autocast to, or None for float32 throughout.

    Parameters
    ----------
    precision : {"auto", "float32", "bf16"}
        "auto" is bf16 for images on hardware with bf16 arithmetic, else float32.
    device : torch.device
        Where the network is.
    image_shape : tuple of int
        Shape of a row; a table (one axis) has no convolutions that would gain from bf16.
    """
    if precision == "auto":
        precision = "bf16" if len(image_shape) > 1 and _has_bf16(device) else "float32"
    return torch.bfloat16 if precision == "bf16" else None


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # torch has no public name for this question.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and supported is not None and supported()
