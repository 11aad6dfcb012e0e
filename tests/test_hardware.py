"""Device and precision."""

import pytest
import torch

from sklearn_open import _hardware
from sklearn_open._hardware import autocast_dtype, resolve_device

CPU = torch.device("cpu")


@pytest.mark.parametrize(("has_cuda", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_the_gpu_where_there_is_one(monkeypatch, has_cuda, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    assert resolve_device("auto").type == expected
    assert resolve_device("meta").type == "meta"
    assert resolve_device(CPU) == CPU


@pytest.mark.parametrize(
    ("precision", "has_bf16", "image_shape", "dtype"),
    [
        ("auto", True, (3, 8, 8), torch.bfloat16),
        ("auto", False, (3, 8, 8), None),
        ("auto", True, (64,), None),
        ("bf16", False, (64,), torch.bfloat16),
        ("float32", True, (3, 8, 8), None),
    ],
)
def test_precision(monkeypatch, precision, has_bf16, image_shape, dtype):
    monkeypatch.setattr(_hardware, "_has_bf16", lambda device: has_bf16)
    assert autocast_dtype(precision, CPU, image_shape) is dtype


def test_torch_without_a_word_on_bf16(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert not _hardware._has_bf16(CPU)
