"""Device and precision."""

import threading

import pytest
import torch
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open._training import hardware as _hardware
from sklearn_open._training.hardware import (
    autocast,
    autocast_dtype,
    predict_batch_size,
    resolve_device,
    tf32,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(("has_cuda", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_the_gpu_where_there_is_one(monkeypatch, has_cuda, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    assert resolve_device("auto").type == expected
    assert resolve_device("meta").type == "meta"
    assert resolve_device(CPU) == CPU


@pytest.mark.parametrize(
    ("local_rank", "n_gpus", "expected"),
    [("2", 4, "cuda:2"), ("0", 4, "cuda:0"), ("5", 1, "cuda:0"), (None, 4, "cuda:3")],
)
def test_auto_is_the_gpu_of_the_rank(monkeypatch, local_rank, n_gpus, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)  # that a launcher has chosen
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if local_rank is not None:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    assert str(resolve_device("auto", of_rank=True)) == expected
    assert str(resolve_device("auto")) == "cuda"
    assert str(resolve_device("cuda:1", of_rank=True)) == "cuda:1"
    clf = OPeNClassifier(distributed=True)
    assert str(clf.device_) == expected
    assert clf.get_params()["device"] == "auto"


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


shares_casts = pytest.mark.skipif(
    not _hardware._shared_casts_have_gradients(), reason="this torch cannot share casts"
)


@pytest.fixture
def layer():
    return nn.Linear(3, 4)


ROWS = torch.ones(2, 3)


class TestAutocast:
    @pytest.mark.parametrize("dtype", [torch.bfloat16, None])
    @pytest.mark.parametrize("share_casts", [True, False])
    def test_dtype(self, layer, dtype, share_casts):
        with autocast(CPU, dtype, share_casts=share_casts):
            assert layer(ROWS).dtype == (dtype or torch.float32)
        assert layer(ROWS).dtype == torch.float32

    @pytest.mark.parametrize("newer", [True, False])
    def test_no_gradient_is_lost(self, layer, newer, monkeypatch):
        if not newer:
            monkeypatch.setattr(_hardware, "_shared_casts_have_gradients", lambda: False)
        with autocast(CPU, torch.bfloat16, share_casts=True):
            with torch.no_grad():
                layer(ROWS)
            layer(ROWS).sum().backward()
        assert layer.weight.grad is not None

    @pytest.mark.parametrize(
        "context",
        [
            torch.no_grad,
            torch.inference_mode,
            torch.enable_grad,
            lambda: torch.autocast("cpu", cache_enabled=False),
        ],
    )
    def test_whether_casts_can_be_shared_is_asked_anywhere(self, context):
        expected = _hardware._shared_casts_have_gradients()
        with context():
            assert _hardware._shared_casts_have_gradients.__wrapped__() is expected

    @shares_casts
    @pytest.mark.parametrize(("share_casts", "n"), [(True, 1), (False, 2)])
    def test_calls_share_casts(self, layer, count_casts, share_casts, n):
        with (
            count_casts(layer.weight.shape) as casts,
            autocast(CPU, torch.bfloat16, share_casts=share_casts),
        ):
            layer(ROWS)
            layer(ROWS)
        assert casts.n == n

    @shares_casts
    def test_contexts_do_not_share_casts(self, layer):
        """Also within a context of the user's own: the weights have changed in between."""
        outputs = []
        with torch.autocast("cpu", torch.bfloat16):
            for _ in range(2):
                outputs.append(layer(ROWS))
                with autocast(CPU, torch.bfloat16, share_casts=True):
                    outputs.append(layer(ROWS))
                with torch.no_grad():
                    layer.weight.add_(1)
        before, within_before, after, within_after = outputs
        assert torch.equal(before, within_before)
        assert torch.equal(after, within_after)
        assert not torch.equal(before, after)

    @shares_casts
    @pytest.mark.parametrize("enabled", [True, False])
    def test_casts_survive_other_threads(self, layer, count_casts, enabled):
        def predict():
            with autocast(CPU, torch.bfloat16 if enabled else None, share_casts=False):
                layer(ROWS)

        with (
            count_casts(layer.weight.shape) as casts,
            autocast(CPU, torch.bfloat16, share_casts=True),
        ):
            layer(ROWS)
            thread = threading.Thread(target=predict)
            thread.start()
            thread.join()
            layer(ROWS)
        assert casts.n == 1  # that of the other thread is not counted here
