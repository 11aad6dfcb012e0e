"""Device and precision."""

import pytest
import torch

from sklearn_open import _hardware
from sklearn_open._hardware import autocast_dtype, predict_batch_size, resolve_device, tf32

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
        ("auto", True, (3, 32, 32), torch.bfloat16),
        ("auto", True, (3, 48, 31), None),
        ("auto", False, (3, 32, 32), None),
        ("auto", True, (64,), None),
        ("bf16", False, (64,), torch.bfloat16),
        ("float32", True, (3, 8, 8), None),
        ("fp16", True, (3, 8, 8), torch.float16),
    ],
)
def test_precision(monkeypatch, precision, has_bf16, image_shape, dtype):
    monkeypatch.setattr(_hardware, "_has_bf16", lambda device: has_bf16)
    assert autocast_dtype(precision, CPU, image_shape) is dtype


def test_torch_without_a_word_on_bf16(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert not _hardware._has_bf16(CPU)


@pytest.mark.parametrize(
    ("device", "image_shape", "size"),
    [
        ("cpu", (3, 32, 32), 128),
        ("cuda", (3, 32, 32), 2048),
        ("cpu", (3, 224, 224), 16),
        ("cuda", (1, 8, 8), 4096),
        ("cpu", (30,), 4096),
        ("meta", (3, 32, 32), 128),
    ],
)
def test_predictions_have_batches_that_fit_the_device(device, image_shape, size):
    assert predict_batch_size(torch.device(device), image_shape) == size


def test_tf32_is_allowed_for_a_while_on_a_gpu_under_auto():
    before = torch.get_float32_matmul_precision()
    for precision, device, within in (
        ("auto", "cuda", "high"),
        ("float32", "cuda", before),
        ("auto", "cpu", before),
    ):
        with tf32(precision, torch.device(device)):
            assert torch.get_float32_matmul_precision() == within
        assert torch.get_float32_matmul_precision() == before
