"""What fits are told apart by: parameters, training rows, machine."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import joblib
import numpy as np
import skorch
import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback

from sklearn_open._inputs import chunks
from sklearn_open.batching import ImageDataset

__all__ = ["comparable", "comparable_params", "hash_of", "machine_facts", "rows_digest"]


def hash_of(value: Any) -> str:
    """Return a digest of something `comparable`.

    Raises
    ------
    ValueError
        If it cannot be pickled.
    """
    try:
        return str(joblib.hash(value))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            "memory= and checkpoint= compare parameters, and one of them cannot be pickled. Define "
            f"functions and classes at the top of a module (no lambda). It said: {error}"
        ) from error


def comparable_params(net: Any, without: Iterable[str]) -> dict[str, Any]:
    """Return the parameters of a net in `comparable` form, without some and their components."""
    given = net.get_params(deep=False)
    left_out = set(without)
    return {
        name: comparable(value)
        for name, value in given.items()
        if name not in left_out and name.split("__")[0] not in left_out
    }


def comparable(value: Any) -> Any:
    """Return something whose pickle is the same whenever the value is."""
    if isinstance(value, torch.nn.Module):
        weights = {name: comparable(tensor) for name, tensor in value.state_dict().items()}
        sources = sorted({_source(type(layer)) for layer in value.modules()})
        return repr(value), sources, weights
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double().numpy()
    if isinstance(value, Mapping):
        return {name: comparable(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(part) for part in value]
    if isinstance(value, functools.partial):
        return [comparable(part) for part in (value.func, value.args, value.keywords)]
    if inspect.isfunction(value) or isinstance(value, type):
        return value, _source(value)
    if isinstance(value, (BaseEstimator, Callback)):  # without what they learnt
        return type(value), comparable(value.get_params(deep=False))
    return value


def _source(definition: Any) -> str:
    """Return the code of a class or function that is not torch's: it may have been edited."""
    name = f"{definition.__module__}.{definition.__qualname__}"
    if name.startswith("torch."):
        return name
    try:
        return inspect.getsource(definition)
    except (OSError, TypeError):  # typed at a prompt, or written in C
        return name


def rows_digest(data: ImageDataset, n_rows: int | None = None) -> str:
    """Return a digest of the first rows of an array, and of their labels.

    Parameters
    ----------
    data : ImageDataset
        Rows in an array.
    n_rows : int or None, default=None
        How many; None for all.
    """
    digest = hashlib.sha256(repr((data.X.shape[1:], data.X.dtype, n_rows)).encode())
    for _, chunk in chunks(data.X if n_rows in (None, len(data)) else data.X[:n_rows]):
        digest.update(np.ascontiguousarray(chunk).data)
    return digest.hexdigest() + hash_of([data.codes[:n_rows], data.y[:n_rows]])


def machine_facts(device: torch.device) -> dict[str, Any]:
    """Return what rounding depends on besides the numbers."""
    package = sys.modules["sklearn_open"]  # which imports this module
    facts = {part.__name__: part.__version__ for part in (package, torch, skorch, np)}
    facts |= {name: version(name) for name in ("torchvision", "kornia")}  # of augmentations
    return {
        **facts,
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
