"""`to_torch`: a fitted estimator as one plain network."""

import copy

import numpy as np
import pytest
import torch
import torchvision
from sklearn.exceptions import NotFittedError
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import WideResNet, resnet32
from sklearn_open.nn import DARNorm


def fit(X, y, module=None, **kwargs):
    settings = {"max_epochs": 2, "start_epoch": 1, "lr": 0.05, "batch_size": 16, "verbose": 0}
    settings |= {"precision": "float32", "random_state": 0}
    return OPeNClassifier(module, **{**settings, **kwargs}).fit(X, y)


def assert_same_probabilities(network, clf, X):
    given = X if X.ndim != 3 else X[:, None]
    with torch.no_grad():
        proba = network(torch.from_numpy(np.ascontiguousarray(given)))
    assert proba.dtype == torch.float32
    np.testing.assert_allclose(proba, clf.predict_proba(X), rtol=0, atol=1e-6)


def tempered(logits):
    return torch.softmax(3 * logits, dim=-1)


class TwoOutputs(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.net = WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=3)

    def forward(self, x):
        return self.net(x), self.net(x) * 2


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"normalize": None},
        {"normalize": ([0.1, 0.2, 0.3], 0.5), "augment": "cutout"},
        {"module": resnet32},
        {"module": torchvision.models.resnet18},
        {"module": TwoOutputs},
        {"predict_nonlinearity": tempered},
        {"criterion": nn.MultiMarginLoss, "predict_nonlinearity": None},
        {"resampler": None, "compile": True, "compile__backend": "eager"},
        {"precision": "bf16"},
    ],
)
def test_it_predicts_as_predict_proba(images, params):
    X, y = images
    clf = fit(X, y, **params)
    network = clf.to_torch()
    clf.set_params(precision="float32")
    assert_same_probabilities(network, clf, X)
    assert_same_probabilities(network, clf, X[:1].astype(np.float32))


@pytest.mark.parametrize(("width", "low"), [(1, 0), (1 / 255, 0), (3.3, -71.7)])
def test_units_are_the_data_s_own(images, width, low):
    X, y = images
    X = X if width == 1 else X * width + low
    assert_same_probabilities(fit(X, y).to_torch(), fit(X, y), X)
    gray = X[:, 0]
    assert_same_probabilities(fit(gray, y).to_torch(), fit(gray, y), gray)
    table = X[:, 0, :3].reshape(60, 24)
    assert_same_probabilities(fit(table, y).to_torch(), fit(table, y), table)


def test_it_is_a_plain_copy(images):
    X, y = images
    clf = fit(X, y)
    before = copy.deepcopy(clf.module_.state_dict())
    network = clf.to_torch()
    assert not network.training
    assert not any(isinstance(layer, DARNorm) for layer in network.modules())
    assert any(isinstance(layer, DARNorm) for layer in clf.module_.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(parameter.requires_grad for parameter in clf.module_.parameters())
    for parameter in network.parameters():
        parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in clf.module_.state_dict().items())
    clf.partial_fit(X, y)


def test_a_loaded_estimator_has_one_too(images, tmp_path):
    X, y = images
    fit(X, y).save(tmp_path / "clf")
    clf = OPeNClassifier.load(tmp_path / "clf")
    assert_same_probabilities(clf.to_torch(), clf, X)


def exported(network, example):
    # With a bound, as torch 2.6 refuses some networks without one.
    batch = torch.export.Dim("batch", max=2**31)
    return torch.export.export(network, (example,), dynamic_shapes={"pixels": {0: batch}})


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("module", [None, resnet32, torchvision.models.shufflenet_v2_x0_5])
def test_exported_programs_take_any_number_of_rows(images, tmp_path, module, dtype):
    X, y = images
    X = X.astype(dtype)
    clf = fit(X, y, module, max_epochs=1)
    program = exported(clf.to_torch(), torch.from_numpy(X[:4]))
    torch.export.save(program, tmp_path / "clf.pt2")
    network = torch.export.load(tmp_path / "clf.pt2").module()
    for rows in (X[:2], X[:7], X):
        assert_same_probabilities(network, clf, rows)


def test_exported_tables(images):
    X, y = images
    table = X[:, 0, :3].reshape(60, 24) / np.float32(7)
    clf = fit(table, y)
    program = exported(clf.to_torch(), torch.from_numpy(table[:4])).module()
    for rows in (table[:2], table):
        assert_same_probabilities(program, clf, rows)


def test_onnx(images, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    X, y = images
    clf = fit(X, y)
    program = torch.onnx.export(
        clf.to_torch(),
        (torch.from_numpy(X[:4]),),
        dynamo=True,
        dynamic_shapes={"pixels": {0: torch.export.Dim("batch", max=2**31)}},
    )
    program.save(tmp_path / "clf.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "clf.onnx")
    for rows in (X[:1], X):
        (proba,) = session.run(None, {"pixels": rows})
        np.testing.assert_allclose(proba, clf.predict_proba(rows), rtol=0, atol=1e-5)


def test_wrong_rows_are_refused(images):
    X, y = images
    with pytest.raises(ValueError, match=r"shape \(8, 8, 3\); needed is \(3, 8, 8\)"):
        fit(X, y).to_torch()(torch.zeros(2, 8, 8, 3))


@pytest.mark.parametrize(
    "clf", [OPeNClassifier(), OPeNClassifier(TwoOutputs, module__num_classes=2)]
)
def test_not_fitted(clf):
    with pytest.raises(NotFittedError):
        clf.to_torch()
