"""The file of a saved estimator: weights and facts in one safetensors file, under a checksum.

Reading it runs nothing: there are numbers and JSON in it, no pickle, and no name that is imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from sklearn_open._persistence.atomic import write_atomically
from sklearn_open._version import __version__
from sklearn_open.exceptions import SavedFileError

__all__ = ["read_file", "write_file"]

Facts = dict[str, Any]  # what JSON can hold
Weights = dict[str, torch.Tensor]

FORMAT = 1
# Old files stay readable: format n -> what makes its facts those of format n + 1.
UPGRADES: dict[int, Callable[[Facts], Facts]] = {}

FACTS, CHECKSUM = "sklearn_open", "sklearn_open.sha256"  # names in the header of the file
DTYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)
FOREIGN = {
    b"\x80": "a pickle, which can run any code",
    b"PK": "a zip archive, as torch.save writes, which can run any code",
    b"\x89PNG": "an image",
}
AGAIN = "Copy the file again from where it was whole, or save the estimator again."


def write_file(path: Path, facts: Facts, weights: Weights) -> None:
    """Write a file, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    facts : dict
        What `json.dumps` takes.
    weights : dict of str to torch.Tensor
        A network's state dict.

    Raises
    ------
    TypeError
        For weights that are not dense tensors of an ordinary dtype.
    """
    weights = {name: _dense(name, tensor) for name, tensor in weights.items()}
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True, allow_nan=False)
    metadata = {FACTS: text, CHECKSUM: _checksum(text, weights)}
    write_atomically(path, safetensors.torch.save(weights, metadata))


def read_file(path: Path) -> tuple[Facts, Weights]:
    """Return facts and weights of a file that `write_file` wrote.

    Raises
    ------
    SavedFileError
        For any other file, and for one that was changed.
    FileNotFoundError
        When there is none.
    """
    content = path.read_bytes()
    metadata = _metadata(path, content)
    facts = _facts(path, metadata)  # its format first: a newer one may sum up in another way
    weights = _weights(path, content)
    if metadata.get(CHECKSUM) != _checksum(metadata[FACTS], weights):
        raise SavedFileError(
            f"{path} is damaged, or was changed after it was saved: its content does not agree "
            f"with its checksum. {AGAIN}"
        )
    for number in range(facts.pop("format"), FORMAT):
        facts = UPGRADES[number](facts)
    return facts, weights


def _dense(name: str, tensor: Any) -> torch.Tensor:
    is_tensor = isinstance(tensor, torch.Tensor)
    if not is_tensor or tensor.layout is not torch.strided or tensor.dtype not in DTYPES:
        what = f"a tensor of {tensor.layout}, {tensor.dtype}" if is_tensor else type(tensor)
        raise TypeError(
            f"the network keeps {name!r}, {what}, in its state dict, which a file of tensors "
            "cannot hold. Pickle the estimator instead."
        )
    return tensor.detach().to("cpu", copy=True).contiguous()  # tied weights share their memory


def _checksum(facts: str, weights: Weights) -> str:
    digest = hashlib.sha256(facts.encode(errors="surrogatepass"))
    for name, tensor in sorted(weights.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _metadata(path: Path, content: bytes) -> dict[str, Any]:
    """Return the strings in the header of a safetensors file."""
    size = int.from_bytes(content[:8], "little")
    header = _parsed(content[8 : 8 + size]) if size <= len(content) - 8 else None
    if not isinstance(header, dict):
        raise SavedFileError(f"{path} {_what_it_is(content)}")
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or FACTS not in metadata:
        raise SavedFileError(
            f"{path} is a safetensors file, but not one that OPeNClassifier.save wrote: it holds "
            "nothing about classes and pixels. Load its weights into a network of your own "
            "(safetensors.torch.load_file) and pass that as module."
        )
    return metadata


def _what_it_is(content: bytes) -> str:
    """Say what a file is that is not a safetensors file."""
    if not content:
        return f"is empty. {AGAIN}"
    for start, kind in FOREIGN.items():
        if content.startswith(start):
            return (
                f"is {kind}, not a file that OPeNClassifier.save wrote. It was not opened. If it "
                "holds an estimator and you trust it, open it with what wrote it, and call save."
            )
    return f"is cut off, damaged, or not a file that OPeNClassifier.save wrote. {AGAIN}"


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):  # no text, no JSON, or too deep
        return None


def _facts(path: Path, metadata: dict[str, Any]) -> Facts:
    facts: Any = _parsed(metadata[FACTS])
    number = facts.get("format") if isinstance(facts, dict) else None
    if type(number) is not int or number < 1:
        raise SavedFileError(f"{path} is damaged: its facts cannot be read. {AGAIN}")
    if number > FORMAT:
        versions = facts.get("versions")
        writer = versions.get("sklearn_open") if isinstance(versions, dict) else None
        raise SavedFileError(
            f"{path} has format {number}, which sklearn_open {writer} wrote. This is sklearn_open "
            f"{__version__}, which reads formats up to {FORMAT}. "
            "Update sklearn_open to that version or a later one."
        )
    return facts


def _weights(path: Path, content: bytes) -> Weights:
    try:
        return safetensors.torch.load(content)
    except Exception as error:  # which ones, safetensors does not say
        raise SavedFileError(
            f"{path} is cut off or damaged: its weights cannot be read ({error}). {AGAIN}"
        ) from error
