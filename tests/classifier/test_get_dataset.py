"""Rows to predict on, against those that were fitted."""

import numpy as np
import pytest
import torch
from PIL import Image
from skorch.dataset import Dataset as SkorchDataset

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import WideResNet


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def tiny_net(num_classes=3, in_channels=3):
    return WideResNet(depth=10, widen_factor=1, num_classes=num_classes, in_channels=in_channels)


def test_floats_where_bytes_were_fitted_warn(images):
    X, y = images
    clf = make().fit(X, y)
    with pytest.warns(UserWarning, match="nearly black"):
        clf.predict(X / 255)


def test_a_net_that_was_only_initialized_predicts_as_skorch_does(images):
    pixels = torch.from_numpy(images[0]).float()
    clf = make(tiny_net).initialize()
    with pytest.warns(UserWarning, match="initialized but never fitted"):
        proba = clf.predict_proba(pixels)
    with torch.no_grad():
        expected = torch.softmax(clf.module_.eval()(pixels), 1)
    np.testing.assert_allclose(proba, expected, rtol=0.1, atol=0.05)


def test_a_data_set_class_of_one_s_own(images):
    X, y = images

    class Dark(SkorchDataset):
        def __init__(self, X, y=None, factor=1):
            super().__init__(X // factor, y)

    clf = make(dataset=Dark, dataset__factor=2).fit(X, y)
    expected = make().fit(X // 2, y)
    np.testing.assert_array_equal(clf.predict_proba(X), expected.predict_proba(X // 2))


def test_wrong_shape_at_predict(images):
    clf = make().fit(*images)
    with pytest.raises(ValueError, match=r"shape \(3, 9, 8\).*\(3, 8, 8\) is needed, as in"):
        clf.predict(np.zeros((2, 3, 9, 8)))
    with pytest.raises(ValueError, match="NaN"):
        clf.predict(np.full((2, 3, 8, 8), np.nan))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("last", [False, True])
def test_one_image_is_told_from_many(images, channels, last):
    X, y = images
    X = X[:, :channels] if channels > 1 else X[:, 0]
    clf = make().fit(X, y)
    one = np.moveaxis(X[0], 0, -1) if last and channels > 1 else X[0]
    with pytest.raises(ValueError, match=r"that is one image.*X\[None\]"):
        clf.predict(one)
    assert clf.predict(one[None]).shape == (1,)
    assert clf.predict(X[:1]).shape == (1,)


def test_one_photograph(images):
    X, y = images
    clf = make().fit(X, y)
    with pytest.raises(ValueError, match="that is one image"):
        clf.predict(Image.fromarray(X[0].transpose(1, 2, 0)))
