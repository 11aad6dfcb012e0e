"""What the machine offers: device, precision, sizes of batches; decided here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch

__all__ = [
    "autocast",
    "autocast_dtype",
    "predict_batch_size",
    "resolve_device",
    "tf32",
]

CPU_BF16_SIDE = 32

# Pixels (or table rows) in a batch to predict on. On a CPU, larger batches fall out of its caches
# and were slower (WRN-16-2, ResNet-18); a GPU needs more to be busy.
PREDICT_PIXELS = {"cpu": 2**17, "cuda": 2**21}


def resolve_device(device: str | torch.device, of_rank: bool = False) -> torch.device:
    """Return the device to train on; "auto" is the GPU where CUDA has one, else the CPU.

    Parameters
    ----------
    device : str or torch.device
    of_rank : bool, default=False
        Whether a machine's GPUs are shared among the ranks on it, whom launchers number by
        LOCAL_RANK. Without it, "auto" is the GPU that the program has chosen.
    """
    if device != "auto":
        return torch.device(device)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if not of_rank:
        return torch.device("cuda")
    local = int(os.environ.get("LOCAL_RANK", torch.cuda.current_device()))
    return torch.device("cuda", local % torch.cuda.device_count())  # each may see its own GPU only


def autocast_dtype(
    precision: str, device: torch.device, image_shape: tuple[int, ...]
) -> torch.dtype | None:
    """Return the dtype to autocast to, or None for float32 throughout.

    Parameters
    ----------
    precision : {"auto", "float32", "bf16", "fp16"}
        "auto" is bf16 for images on hardware with bf16 arithmetic, else float32. On a CPU, images
        of fewer than 32 pixels a side are left to float32.
    device : torch.device
        Where the network is.
    image_shape : tuple of int
        Shape of a row; a table (one axis) has no convolutions that would gain from bf16.
    """
    if precision == "auto":
        precision = "bf16" if _gains_from_bf16(device, image_shape) else "float32"
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)


def _gains_from_bf16(device: torch.device, image_shape: tuple[int, ...]) -> bool:
    if len(image_shape) == 1:
        return False
    # With bf16 on a CPU, torch 2.15 reads memory that was never written in the backward pass of a
    # convolution with stride 2 on a single pixel, which small images are reduced to.
    if device.type == "cpu" and min(image_shape[1:]) < CPU_BF16_SIDE:
        return False
    return _has_bf16(device)


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # torch has no public name for this question.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and supported is not None and supported()


@contextmanager
def autocast(
    device: torch.device, dtype: torch.dtype | None, *, share_casts: bool
) -> Iterator[None]:
    """Let torch choose where to use `dtype`, as `torch.autocast` does; with None, nowhere.

    Parameters
    ----------
    device : torch.device
        Where the network is.
    dtype : torch.dtype or None
        See `autocast_dtype`.
    share_casts : bool
        Whether all calls in this context use the same cast of a weight, whose gradients are then
        summed in `dtype`. The cache of casts belongs to the process, so one thread at a time.
        Where torch is too old for it, calls make casts of their own.
    """
    share_casts = share_casts and _shared_casts_have_gradients()
    # torch empties the cache when the outermost context of a thread ends, also under the feet of
    # a fit in another thread, which would then round differently. One level more prevents that.
    torch.autocast_increment_nesting()
    try:
        with torch.autocast(
            device.type, dtype=dtype, enabled=dtype is not None, cache_enabled=share_casts
        ):
            if share_casts:
                torch.clear_autocast_cache()  # of casts that a context around this one has made
            yield
    finally:
        if share_casts:
            torch.clear_autocast_cache()  # as a step changes the weights
        torch.autocast_decrement_nesting()


@cache
def _shared_casts_have_gradients() -> bool:
    """Whether a weight that is used without gradient first, as spectral norm does, still gets one.

    In torch 2.6 it does not, as the first cast is the one that is kept.
    """
    weight = torch.ones(1, 1, requires_grad=True)
    in_bf16 = torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=True)
    with torch.inference_mode(False), in_bf16:
        with torch.no_grad():
            weight @ weight
        with torch.enable_grad():
            return (weight @ weight).requires_grad


@contextmanager
def tf32(precision: str, device: torch.device) -> Iterator[None]:
    """Let a GPU multiply what stays in float32 as TF32, under "auto" precision.

    torch allows it for convolutions only by default. The setting belongs to the process and is put
    back.
    """
    before = torch.get_float32_matmul_precision()
    if precision != "auto" or device.type != "cuda" or before != "highest":
        yield
        return
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def predict_batch_size(device: torch.device, image_shape: tuple[int, ...]) -> int:
    """Return how many rows to predict on at a time.

    Parameters
    ----------
    device : torch.device
        Where the network is.
    image_shape : tuple of int
        Shape (n_channels, height, width) of an image, or (n_features,) of a table's row.
    """
    pixels = PREDICT_PIXELS.get(device.type, PREDICT_PIXELS["cpu"])
    return int(np.clip(pixels // int(np.prod(image_shape[1:])), 16, 4096))
