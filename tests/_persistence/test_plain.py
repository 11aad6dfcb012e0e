"""Plain values as JSON, exactly."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_open._persistence.plain import decode, decode_array, encode


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 0, -(2**63), 2**64 - 1, 0.1, -0.0, 5e-324, float("inf"), "", "é\ud800"),
        *((), (1, [2, (3,)]), {1: "a", (2, None): {"tuple": 3}}, b"\x00\xff", [[]], {}),
        *(np.zeros((0, 3)), np.float32([[0.1, np.nan]]), np.array(3, dtype="f2")),
        np.array(["2021-01-01", "NaT"], dtype="M8[25s]"),
        np.array([1, None, "a", b"c", np.inf], dtype=object),
        *(torch.tensor([[1, 2]]), torch.tensor(0.1)),
    ],
    ids=ascii,
)
def test_they_come_back(value):
    text = json.dumps(encode(value), allow_nan=False)
    back = decode(json.loads(text))
    assert type(back) is type(value)
    assert repr(back) == repr(value)
    assert getattr(back, "dtype", None) == getattr(value, "dtype", None)


@pytest.mark.parametrize(
    "value",
    [
        *(2**64, 1j, np.longdouble(1), {1, 2}, object(), lambda: 0, Path("a"), range(3)),
        *(np.array([1j]), np.array([[1], [2, 3]], dtype=object), np.array([(1,)], dtype="i4,")),
        *(np.ma.array([1]), torch.ones(2, dtype=torch.bfloat16), nn.Parameter(torch.ones(1))),
        np.array(["2021"], dtype="M8[s]")[0],
    ],
)
def test_others_are_refused(value):
    with pytest.raises(TypeError):
        encode(value)


JUNK = [
    *({"float": "x"}, {"float": 1}, {"a": 1, "b": 2}, {}, {"": 0}, {"bytes": "zz"}, {"bytes": 3}),
    *({"tuple": 3}, {"dict": [[[], 1]]}, {"dict": [1]}, {"array": 3}, {"tensor": {}}, 10**30),
    *(float("nan"), [{}], {"tuple": [{}]}),
]


@pytest.mark.parametrize("junk", JUNK, ids=ascii)
def test_junk_is_refused(junk):
    with pytest.raises(ValueError, match="is not a plain value"):
        decode(junk)


@pytest.mark.parametrize(
    "junk",
    [
        *(None, [], {}, {"dtype": "<f8", "shape": [1]}, {"dtype": [], "shape": [], "values": [1]}),
        {"dtype": "<f8", "shape": [2], "values": [1.0]},
        {"dtype": "<f8", "shape": [-1], "values": [1.0]},
        {"dtype": "<f8", "shape": "1", "values": [1.0]},
        {"dtype": "<f8", "shape": [1], "values": ["1"]},
        {"dtype": "<f8", "shape": [2], "values": [[1.0, 2.0]]},
        {"dtype": "<f4", "shape": [1], "values": [1e300]},
        {"dtype": "<f4", "shape": [1], "values": [0.1]},
        {"dtype": "|u1", "shape": [1], "values": [300]},
        {"dtype": "<i8", "shape": [1], "values": [1.5]},
        {"dtype": "<U1", "shape": [1], "values": ["ab"]},
        {"dtype": "<M8[x]", "shape": [1], "values": [1]},
        {"dtype": "|V8", "shape": [1], "values": [1]},
        {"dtype": "|O", "shape": [1], "values": [[1]]},
        {"dtype": "|O", "shape": [1], "values": [{"tuple": [1]}]},
    ],
    ids=ascii,
)
def test_junk_is_no_array(junk):
    with pytest.raises(ValueError, match="is not an array"):
        decode_array(junk)
