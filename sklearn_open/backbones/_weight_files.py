"""Weights in a local file: which values name one, and the tensors that it holds; no code is run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

__all__ = ["is_weight_file", "read_weight_file"]

SUFFIXES = (".pth", ".pt", ".safetensors", ".pth.tar")
# Under which names training scripts keep the state dict, beside epoch, optimiser and the like.
WRAPPERS = ("state_dict", "model")


def is_weight_file(value: Any) -> bool:
    """Whether a value of ``weights`` is the path of a file, and no name of weights.

    A path object is; so is text that ends as such files do, or with which a file is found. A bare
    word ("DEFAULT") never is, whatever lies in the folder at hand.
    """
    if isinstance(value, PathLike):
        return True
    if not isinstance(value, str):
        return False
    is_bare = os.sep not in value and "." not in value
    return value.endswith(SUFFIXES) or (not is_bare and Path(value).is_file())


def read_weight_file(file: str | PathLike[str]) -> dict[str, torch.Tensor]:
    """Return the state dict that a file holds.

    Parameters
    ----------
    file : str or path
        Of torch or safetensors; the state dict by itself, or under "state_dict" or "model".
        "module.", which torch's DataParallel puts before names, is taken away.

    Raises
    ------
    ValueError
        If there is no such file, or it holds something else.
    """
    path = Path(file)
    if not path.is_file():
        raise ValueError(
            f"weights={str(file)!r}: there is no such file (looked for in {str(Path.cwd())!r}). "
            "Pass the path of a state dict as module__weights=<path>."
        )
    tensors = _tensors_of(_loaded(path), path)
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def _loaded(file: Path) -> Any:
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # Not torch's own words, and not chained to them: they advise to run the file's code.
        raise ValueError(
            f"{str(file)!r} cannot be read as a state dict ({type(error).__name__}): it is "
            "damaged, or of another kind, or has objects besides tensors in it, such as a whole "
            "network. Where the network was made, torch.save(network.state_dict(), path), and pass "
            "module__weights=<path>."
        ) from None


def _tensors_of(loaded: Any, file: Path) -> dict[str, torch.Tensor]:
    """Return the state dict that a file holds, by itself or beside others of a training script."""
    if isinstance(loaded, Mapping):
        for name in WRAPPERS:
            if isinstance(loaded.get(name), Mapping):
                loaded = loaded[name]
        named = {name: value for name, value in loaded.items() if isinstance(name, str)}
        tensors = {name: t for name, t in named.items() if isinstance(t, torch.Tensor)}
        if tensors:
            return tensors
    raise ValueError(
        f"{str(file)!r} holds a {type(loaded).__name__}, and no state dict (names and tensors). "
        "Where the network was made, torch.save(network.state_dict(), path), and pass "
        "module__weights=<path>."
    )
