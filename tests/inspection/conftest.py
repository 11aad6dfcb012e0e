"""A small training that all displays can look at."""

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.base import clone

matplotlib.use("agg")

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import GroupAccuracy

NAMES = np.array("zero one two three four five six seven eight nine".split())


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def named_digits(digits_lt):
    """Long-tailed digits with strings for labels."""
    X, codes = digits_lt
    return X, NAMES[codes]


@pytest.fixture(scope="session")
def unfitted(named_digits):
    """Trains in seconds, the last two of four epochs rebalanced."""
    X, y = named_digits
    return OPeNClassifier(
        max_epochs=4,
        start_epoch=2,
        batch_size=64,
        random_state=0,
        verbose=0,
        callbacks=[GroupAccuracy(X[::2], y[::2])],
    )


@pytest.fixture(scope="session")
def fitted(unfitted, named_digits):
    return clone(unfitted).fit(*named_digits)
