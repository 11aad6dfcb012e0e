"""Plain values as JSON and back, exactly: numbers bit by bit, tuples as tuples, arrays with dtype.

JSON has no tuples, no NaN and no arrays; they are objects with one key that says what they are, as
in ``{"tuple": [1, 2]}``. What comes back is of the types named here, whatever a file says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sklearn_open._checks import shortened

__all__ = ["decode", "decode_array", "encode", "encode_array"]

INTEGERS = range(-(2**63), 2**64)  # what NumPy has types for
NOT_FINITE = ("nan", "inf", "-inf")
# Arrays: bool, integers, floats, text, bytes, dates and time spans, and objects that are plain.
DTYPE = re.compile(r"[<>|](b1|[iu][1248]|f[248]|[US]\d{1,5}|[mM]8(\[\w+\])?|O)")


def encode(value: Any) -> Any:
    """Return what `json.dumps` writes so that `decode` gives the value back.

    Parameters
    ----------
    value : Any
        None, bool, int, float, str, bytes, array, tensor, or a list, tuple or dict of these.

    Raises
    ------
    TypeError
        For anything else.
    """
    if isinstance(value, (np.bool_, np.number, np.str_)):
        value = value.item()  # a number like any other
    if value is None or type(value) in (bool, str) or (type(value) is int and value in INTEGERS):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if type(value) is list:
        return [encode(part) for part in value]
    if type(value) is tuple:
        return {"tuple": [encode(part) for part in value]}
    if type(value) is dict:
        return {"dict": [[encode(key), encode(part)] for key, part in value.items()]}
    if type(value) is bytes:
        return {"bytes": value.hex()}
    if type(value) is np.ndarray:
        return {"array": encode_array(value)}
    if type(value) is torch.Tensor and value.layout is torch.strided:
        return {"tensor": encode_array(value.detach().cpu().numpy())}
    raise TypeError(f"{value!r} is a {type(value).__name__}, which JSON cannot hold exactly.")


def encode_array(array: np.ndarray) -> dict[str, Any]:
    """Return an array with its dtype and shape.

    Raises
    ------
    TypeError
        For an array of something that is not plain.
    """
    dtype, flat = array.dtype, array.reshape(-1)
    if DTYPE.fullmatch(dtype.str) is None:
        raise TypeError(f"an array of dtype {dtype} cannot be held by JSON exactly.")
    if dtype.kind in "mM":
        flat = flat.astype(np.int64)
    values = [encode(value) for value in flat.tolist()]
    if dtype.kind == "O" and any(isinstance(value, list) or _is_array(value) for value in values):
        raise TypeError("an array of sequences cannot be held by JSON exactly.")
    return {"dtype": dtype.str, "shape": list(array.shape), "values": values}


def _is_array(encoded: Any) -> bool:
    return isinstance(encoded, dict) and not encoded.keys() <= {"float", "bytes"}


def decode(encoded: Any) -> Any:
    """Return the value that `encode` was given.

    Raises
    ------
    ValueError
        For something that `encode` does not return.
    """
    try:
        return _decoded(encoded)
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{_short(encoded)} is not a plain value") from error


def _decoded(encoded: Any) -> Any:
    if isinstance(encoded, list):
        return [_decoded(part) for part in encoded]
    if isinstance(encoded, dict):
        ((kind, content),) = encoded.items()
        return DECODERS[kind](content) if kind in DECODERS else _refuse(encoded)
    return encoded if encode(encoded) == encoded else _refuse(encoded)


def _refuse(encoded: Any) -> Any:
    raise ValueError(f"{_short(encoded)} is not a plain value")


def _decoded_float(text: str) -> float:
    return float(text) if text in NOT_FINITE else _refuse(text)


def _decoded_list(content: Any) -> list[Any]:
    return [_decoded(part) for part in content] if isinstance(content, list) else _refuse(content)


def decode_array(encoded: Any) -> np.ndarray:
    """Return the array that `encode_array` was given.

    Raises
    ------
    ValueError
        For something that `encode_array` does not return.
    """
    try:
        array = _array(**encoded)
        if encode_array(array) == encoded:  # neither cut off nor out of range
            return array
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        pass
    raise ValueError(f"{_short(encoded)} is not an array")


@np.errstate(all="ignore")  # what overflows does not come out as it went in, and is refused
def _array(dtype: str, shape: list[int], values: list[Any]) -> np.ndarray:
    if DTYPE.fullmatch(dtype) is None:
        raise ValueError(dtype)
    kind = np.dtype(dtype).kind
    plain = _decoded_list(values)
    if kind == "O":
        array = np.empty(len(plain), dtype=object)
        for i, value in enumerate(plain):
            array[i] = value
    elif kind in "mM":
        array = np.array(plain, dtype=np.int64).astype(dtype)
    else:
        array = np.array(plain, dtype=dtype)
    return array.reshape(shape)


DECODERS: dict[str, Callable[[Any], Any]] = {
    "float": _decoded_float,
    "tuple": lambda content: tuple(_decoded_list(content)),
    "dict": lambda content: dict(_decoded_list(content)),
    "bytes": bytes.fromhex,
    "array": decode_array,
    "tensor": lambda content: torch.from_numpy(decode_array(content)),
}


def _short(encoded: Any) -> str:
    return shortened(repr(encoded))
