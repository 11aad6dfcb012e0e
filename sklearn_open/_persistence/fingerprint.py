"""What fits are told apart by: parameters, training rows, machine."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import skorch
import torch
from joblib.hashing import NumpyHasher
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback

from sklearn_open._inputs.lazy import LazyImages, chunks
from sklearn_open._parameters.settings import ITERATORS, has_own_loader
from sklearn_open._parameters.table import component, parameter
from sklearn_open._persistence.attributes import all_attributes
from sklearn_open._protocols import Parameterized
from sklearn_open._version import __version__
from sklearn_open.batching._dataset import ImageDataset

__all__ = [
    "comparable",
    "compared_params",
    "data_digest",
    "hash_of",
    "machine_facts",
    "rows_digest",
    "settled_params",
    "structure",
]

CONTAINERS = (torch.nn.Module, Mapping, list, tuple)


class _Hasher(NumpyHasher):
    """joblib's hashes, of tensors by their values and of code by its text."""

    def save(self, obj: Any) -> None:
        """Take in one object."""
        if isinstance(obj, torch.Tensor):
            obj = (str(obj.dtype), obj.detach().cpu().double().numpy())
        elif inspect.isfunction(obj) or isinstance(obj, type):
            if "<" in obj.__qualname__:  # what it holds on to cannot be seen
                raise pickle.PicklingError(f"{obj.__qualname__} is not defined at the top level")
            obj = ("code", obj.__module__, obj.__qualname__, _source(obj))
        super().save(obj)


def hash_of(value: Any) -> str:
    """Return a digest of something `comparable`.

    Raises
    ------
    ValueError
        If it cannot be pickled.
    """
    try:
        return str(_Hasher(hash_name="md5", coerce_mmap=True).hash(value))
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise ValueError(
            "memory= and checkpoint= compare parameters, and one of them cannot be pickled. Define "
            f"functions and classes at the top of a module (no lambda). It said: {error}"
        ) from error


def structure(module: torch.nn.Module) -> Any:
    """Return what a network is made of, without its weights, in `comparable` form."""
    kinds: set[Any] = {type(layer) for layer in module.modules()}
    return repr(module), sorted(_source(kind) for kind in kinds)


def content_of(module: torch.nn.Module) -> dict[str, Any]:
    """Return what the layers of a module hold besides weights and layers, in `comparable` form."""
    return {
        ".".join(at): comparable(value) if isinstance(value, CONTAINERS) else _hashable(value)
        for at, value in all_attributes(module).items()
    }


def _hashable(value: Any) -> Any:
    """Return something that hashes: a function that cannot be pickled goes by its code."""
    try:
        hash_of(value)
    except ValueError:
        code: Any = getattr(value, "__code__", None)
        content = (code.co_code, repr(code.co_consts)) if code is not None else repr(value)
        return type(value).__qualname__, content
    return value


def compared_params(net: Parameterized, meaning: str) -> dict[str, Any]:
    """Return the parameters that fits are told apart by, in `comparable` form.

    Parameters
    ----------
    net : OPeNClassifier
        With parameters.
    meaning : {"shared", "identity"}
        What for; see `Parameter`.
    """
    # How a loader of the user's own reads, its workers say, may decide what its rows are.
    shared = meaning == "shared"
    given = settled_params(net)
    own_loaders = [which for which in ITERATORS if shared and has_own_loader(net, which)]
    return {
        name: comparable(parameter(name).unset if value is None else value)
        for name, value in given.items()
        if getattr(parameter(name), meaning) or component(name) in own_loaders
    }


def settled_params(net: Parameterized) -> dict[str, Any]:
    """Return the parameters, numbers in place of "auto" where these are known."""
    given = net.get_params(deep=False)
    return {n: getattr(net, n) if parameter(n).settled else value for n, value in given.items()}


def comparable(value: Any) -> Any:
    """Return something whose pickle is the same whenever the value is."""
    if isinstance(value, torch.nn.Module):
        return structure(value), dict(value.state_dict()), content_of(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {name: comparable(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(part) for part in value]
    if isinstance(value, functools.partial):
        return [comparable(part) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, Callback):  # without what it has seen
        return type(value), comparable(_arguments(value))
    if isinstance(value, BaseEstimator):
        return type(value), comparable(value.get_params(deep=False)), _learnt(value)
    return value


def _learnt(estimator: Any) -> Any:
    """Return what a fitted estimator among the parameters, a teacher, goes by: its weights, too."""
    result = getattr(estimator, "estimator_", estimator)
    if not hasattr(result, "module_"):
        return None
    known = getattr(result, "transform_", None)
    transform = known and [known.mean, known.std, known.scale.low, known.scale.high]
    return comparable(result.module_), transform, getattr(result, "classes_", None)


def _arguments(callback: Callback) -> dict[str, Any]:
    """Return what a callback was made with, as far as it keeps that under the same names."""
    parameters = inspect.signature(type(callback).__init__).parameters
    return {name: vars(callback)[name] for name in parameters if name in vars(callback)}


@cache
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


def data_digest(data: ImageDataset) -> str:
    """Return a digest of rows and labels; of a data set that is read while training, of labels."""
    if isinstance(data.X, LazyImages):  # reading all of it may take as long as an epoch
        return hash_of([data.X.shape, data.codes, data.y])
    return rows_digest(data)


def machine_facts(device: torch.device) -> dict[str, Any]:
    """Return what rounding depends on besides the numbers."""
    facts = {part.__name__: part.__version__ for part in (torch, skorch, np)}
    facts["sklearn_open"] = __version__
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
