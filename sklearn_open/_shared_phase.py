"""The epochs before `start_epoch`, which fits that differ only in what happens later share.

Those epochs are plain training whatever `delta` is. With ``memory=`` the first fit leaves the state
it reached in a folder, and the others take it from there, bit for bit what they would have reached.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import skorch
import torch
from filelock import FileLock
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_memory
from skorch.callbacks import Callback

from sklearn_open._inputs import LazyImages, chunks
from sklearn_open.batching import ImageDataset, TrainSet
from sklearn_open.nn import convert_norm, revert_norm
from sklearn_open.nn._dar_bn import DARNorm

__all__ = ["SharedPhase"]

# What does not matter before start_epoch, and what is compared in another form.
LATER = ("delta", "resampler", "start_epoch", "noise_grad", "composition", "epoch_length")
ELSEWHERE = ("memory", "verbose", "random_state", "device", "module")


class SharedPhase:
    """The first epochs of one fit.

    Parameters
    ----------
    net : OPeNClassifier
        Initialised, not yet trained.
    train : TrainSet
        Rows to train on.
    valid : ImageDataset or None
        Rows held out.
    n_epochs : int
        How many epochs other fits may share.

    Raises
    ------
    ValueError
        For data sets that are read while training, and for parts that cannot be kept in a file.
    """

    def __init__(
        self, net: Any, train: TrainSet, valid: ImageDataset | None, n_epochs: int
    ) -> None:
        self.net = net
        self.train = train
        self.valid = valid
        self.n_epochs = n_epochs
        self.memory = check_memory(_path_as_text(net.memory))

    def run(self, train: Callable[[], Any]) -> None:
        """Bring the net to the end of the phase, by `train` or from memory.

        Nothing is done where nothing can be shared: the net then trains these epochs with the rest.
        """
        if self.n_epochs == 0 or self.memory.location is None:
            return
        if self.net.random_state is None:
            warnings.warn(
                "memory= has no effect with random_state=None: every fit starts from weights of "
                "its own. Set random_state to share the epochs before start_epoch.",
                UserWarning,
                stacklevel=6,
            )
            return
        key = self.key()
        self.dump()  # what cannot be kept fails now, not after hours of training
        folder = Path(self.memory.location)
        folder.mkdir(parents=True, exist_ok=True)
        # Of fits that need the same phase at the same time, one trains it and the others wait. The
        # system frees the lock of a process that was killed.
        with FileLock(folder / f"phase-{key}.lock"):
            state = self.memory.cache(_reach, ignore=["phase", "train"])(key, self, train)
        if len(self.net.history) == 0:
            self.restore(state)

    def key(self) -> str:
        """Return a name for all that the state at the end of the phase depends on."""
        net = self.net
        given = net.get_params(deep=False)
        params = {
            name: _comparable(value)
            for name, value in given.items()
            if name.split("__")[0] not in (*LATER, *ELSEWHERE)
        }
        with _ordinary_norm(net):
            network = _comparable(net.module_)
        facts = {
            "epochs": self.n_epochs,
            "seed": net.seed_,
            "params": params,
            "network": network,
            "rows": [_digest(self.train, self.n_rows), self.valid and _digest(self.valid)],
            "machine": _machine(net.device_),
        }
        try:
            return joblib.hash(facts)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                "memory= compares parameters, and one of them cannot be pickled. Define functions "
                f"and classes at the top of a module (no lambda). It said: {error}"
            ) from error

    @property
    def n_rows(self) -> int:
        """Number of original rows; synthetic ones, behind them, play no part in the phase."""
        return len(self.train.planner.codes)

    def dump(self) -> bytes:
        """Return the net's trained parts in the form that `restore` takes."""
        net = self.net
        names = [*net._modules, *net._criteria, *net._optimizers]
        parts = {f"{name}_": getattr(net, f"{name}_") for name in (*names, "history", "scaler")}
        callbacks = [callback for _, callback in net.callbacks_]
        buffer = io.BytesIO()
        try:
            with _ordinary_norm(net):
                torch.save((parts, callbacks), buffer)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                "memory= keeps network, criterion, optimizer and callbacks in a file, and one of "
                "them cannot be pickled. Define its class at the top of a module. It said: "
                f"{error}"
            ) from error
        return buffer.getvalue()

    def restore(self, state: bytes) -> None:
        """Take over what `dump` returned at the end of the phase of another fit."""
        net = self.net
        parts, callbacks = torch.load(
            io.BytesIO(state), map_location=net.device_, weights_only=False
        )
        for name, part in parts.items():
            setattr(net, name, part)
        for (_, callback), reached in zip(net.callbacks_, callbacks, strict=True):
            callback.__dict__.update(reached.__dict__)  # in place: users hold on to theirs
        net._prepare_network()
        if net.verbose:
            print(f"Epochs 1 to {self.n_epochs} were taken from {self.memory.location}.")


def _reach(key: str, phase: SharedPhase, train: Callable[[], Any]) -> bytes:
    """Train the phase; joblib keeps what is returned under `key`."""
    train()
    return phase.dump()


@contextmanager
def _ordinary_norm(net: Any) -> Iterator[None]:
    """Undo the conversion for a while: fits without noise have ordinary batch norm."""
    converted = any(isinstance(layer, DARNorm) for layer in net.module_.modules())
    revert_norm(net.module_)
    try:
        yield
    finally:
        if converted:
            convert_norm(net.module_, noise_grad=net.noise_grad)


def _path_as_text(memory: Any) -> Any:
    return str(memory) if isinstance(memory, Path) else memory


def _comparable(value: Any) -> Any:
    """Return something whose pickle is the same whenever the value is."""
    if isinstance(value, torch.nn.Module):
        weights = {name: _comparable(tensor) for name, tensor in value.state_dict().items()}
        sources = sorted({_source(type(layer)) for layer in value.modules()})
        return repr(value), sources, weights
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double().numpy()
    if isinstance(value, Mapping):
        return {name: _comparable(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_comparable(part) for part in value]
    if isinstance(value, functools.partial):
        return [_comparable(part) for part in (value.func, value.args, value.keywords)]
    if inspect.isfunction(value) or isinstance(value, type):
        return value, _source(value)
    if isinstance(value, (BaseEstimator, Callback)):  # without what they learnt
        return type(value), _comparable(value.get_params(deep=False))
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


def _digest(data: ImageDataset, n_rows: int | None = None) -> str:
    if isinstance(data.X, LazyImages):
        raise ValueError(
            "memory= compares training images, and X is a data set that is read while training. "
            "Pass an array (sklearn_open.datasets.load_image_folder makes one), or memory=None."
        )
    digest = hashlib.sha256(repr((data.X.shape[1:], data.X.dtype, n_rows)).encode())
    for _, chunk in chunks(data.X if n_rows in (None, len(data)) else data.X[:n_rows]):
        digest.update(np.ascontiguousarray(chunk).data)
    return digest.hexdigest() + joblib.hash([data.codes[:n_rows], data.y[:n_rows]])


def _machine(device: torch.device) -> list[Any]:
    """Return what rounding depends on besides the numbers."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    package = sys.modules["sklearn_open"]  # which imports this module
    versions = [part.__version__ for part in (package, torch, skorch, np)]
    flags = [torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()]
    cpu = [torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()]
    versions += [version("torchvision"), version("kornia")]  # of augmentations
    return [*versions, str(device), name, *flags, *cpu]
