"""What a result depends on besides its experiment: code, libraries, machine, data."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

import sklearn_open
from sklearn_open import OPeNClassifier
from sklearn_open._training.hardware import autocast_dtype
from sklearn_open.datasets import ListedImages

__all__ = ["code", "data_digest", "libraries", "machine"]

LIBRARIES = (
    "torch",
    "torchvision",
    "skorch",
    "scikit-learn",
    "imbalanced-learn",
    "kornia",
    "numpy",
)


def libraries() -> dict[str, str]:
    """Return the versions of libraries; of timm, which not all need, where it is installed."""
    names = (*LIBRARIES, *["timm"] * (find_spec("timm") is not None))
    return {name: version(name) for name in names}


def code() -> dict[str, Any]:
    """Return version and commit of this library; no commit where it is not a git checkout."""

    def git(*command: str) -> str | None:
        folder = Path(sklearn_open.__file__).parent
        done = subprocess.run(
            ["git", *command], cwd=folder, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "-uno")
    except FileNotFoundError:  # no git
        commit = changes = None
    return {"version": sklearn_open.__version__, "commit": commit, "edited": bool(changes)}


def machine(clf: OPeNClassifier) -> dict[str, Any]:
    """Return where a classifier was trained, and in which numbers."""
    dtype = autocast_dtype(clf.precision, clf.device_, clf.image_shape_)
    is_cuda = clf.device_.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(clf.device_) if is_cuda else _processor(),
        "threads": torch.get_num_threads(),
        "arithmetic": str(dtype or torch.float32).removeprefix("torch."),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = info.read_text().split("model name\t: ")[1:] if info.exists() else []
    return names[0].partition("\n")[0] if names else platform.processor() or platform.machine()


def data_digest(X: Any, y: Any) -> str:
    """Return a SHA-256 of images and labels; of images in files, of their names."""
    digest = hashlib.sha256(np.ascontiguousarray(y).tobytes())
    if isinstance(X, ListedImages):
        digest.update("\n".join(X.filenames).encode())
    else:
        digest.update(np.ascontiguousarray(X).tobytes())
    return digest.hexdigest()
