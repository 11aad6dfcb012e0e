"""Weights of classes: the published tables, scikit-learn's, and by label."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from sklearn_open.losses import effective_number_weights
from sklearn_open.losses._class_weight import check_class_weight, class_weights

CIFAR10 = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
LABELS = np.array(["a", "b", "c"])


@pytest.mark.parametrize(
    ("beta", "expected"),
    [
        (0.9999, "0.0506114 0.0768998 0.121134 0.195037 0.318805 0.52459 0.868349 1.44263 2.40922"),
        (0.999, "0.181187 0.189414 0.215742 0.272859 0.378479 0.560581 0.868804 1.38616 2.25845"),
    ],
)
def test_published_weights(beta, expected):
    weights = effective_number_weights(CIFAR10, beta)
    np.testing.assert_allclose(weights[:9], [float(w) for w in expected.split()], rtol=2e-5)
    assert weights.sum() == pytest.approx(10)


def test_betas():
    np.testing.assert_array_equal(effective_number_weights([9, 3, 1], beta=0), np.ones(3))
    near_1 = effective_number_weights([9, 3, 1], beta=1 - 1e-12)
    np.testing.assert_allclose(near_1[0] * 9, near_1[2], rtol=1e-6)
    for beta in (1, -0.1, "0.9", None):
        with pytest.raises(ValueError, match="beta="):
            effective_number_weights([9, 3], beta)


def test_balanced_is_scikit_learn_s():
    y = np.repeat([0, 1, 2], [7, 2, 1])
    ours = class_weights("balanced", np.bincount(y), np.arange(3))
    np.testing.assert_allclose(ours, compute_class_weight("balanced", classes=np.arange(3), y=y))


@pytest.mark.parametrize("name", ["balanced", "effective"])
@pytest.mark.parametrize("n", [1, 3, 77])
def test_equal_counts_weight_nothing(name, n):
    assert class_weights(name, np.full(7, n), np.arange(7)) is None


@pytest.mark.parametrize("name", ["balanced", "effective"])
def test_a_class_without_rows_changes_no_other(name):
    with_it = class_weights(name, np.array([7, 0, 2]), np.arange(3))
    without = class_weights(name, np.array([7, 2]), np.arange(2))
    np.testing.assert_allclose(with_it[[0, 2]], without)
    assert np.isfinite(with_it).all()


def test_by_label():
    weights = class_weights({"c": 3, "a": 0.5}, np.array([5, 4, 1]), LABELS)
    np.testing.assert_array_equal(weights, [0.5, 1, 3])
    assert class_weights({"a": 1, "c": 1.0}, np.array([5, 4, 1]), LABELS) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("balance", r"class_weight='balance' is unknown"),
        (3, "class_weight=3 is unknown"),
        ({"a": -1}, "weight of 0 or more"),
        ({"a": "1"}, "weight of 0 or more"),
        ({"a": 0, "b": 0, "c": 0}, "not all of them 0"),
        ({}, "weight of 0 or more"),
        ({"d": 2}, r"weights for 'd'.*labels are 'a', 'b', 'c'"),
    ],
)
def test_what_is_none_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check_class_weight("class_weight", given, LABELS)
