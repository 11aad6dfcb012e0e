"""Composition of the rebalanced data set."""

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone

from sklearn_open import PureNoiseOverSampler
from sklearn_open.inspection import RebalancedCompositionDisplay

PARTS = ("original", "duplicated", "noise")


@pytest.mark.parametrize("delta", [0, 1 / 3, 0.5, 1])
def test_the_formula_of_section_3_1(delta):
    counts = np.array([20, 11, 2, 7])
    y = np.repeat(["b", "c", "d", "a"], counts)
    display = RebalancedCompositionDisplay.from_labels(y, delta=delta)
    new = {"a": 13, "b": 0, "c": 9, "d": 18}
    assert display.classes.tolist() == list(new)
    np.testing.assert_array_equal(display.original, [7, 20, 11, 2])
    noise = [round(delta * n) for n in new.values()]
    np.testing.assert_array_equal(display.noise, noise)
    np.testing.assert_array_equal(display.duplicated, np.array(list(new.values())) - noise)


def test_it_is_what_the_resampler_returns(named_digits):
    X, y = named_digits
    strategy = {"eight": 60, "nine": 40}
    sampler = PureNoiseOverSampler(delta=0.4, sampling_strategy=strategy, random_state=3)
    _, y_new = sampler.fit_resample(X.reshape(len(X), -1), y)
    display = RebalancedCompositionDisplay.from_labels(y, delta=0.4, sampling_strategy=strategy)
    for c, name in enumerate(display.classes):
        assert display.noise[c] == np.sum(sampler.noise_mask_[y_new == name])
        assert display.original[c] == np.sum(y == name)
        assert sum(getattr(display, part)[c] for part in PARTS) == np.sum(y_new == name)


def test_from_estimator_is_from_labels(fitted, named_digits):
    made = RebalancedCompositionDisplay.from_estimator(fitted)
    direct = RebalancedCompositionDisplay.from_labels(named_digits[1])
    for part in (*PARTS, "classes"):
        np.testing.assert_array_equal(getattr(made, part), getattr(direct, part))


@pytest.mark.parametrize("epoch", [0, 3])
def test_of_one_epoch(fitted, named_digits, epoch):
    display = RebalancedCompositionDisplay.from_estimator(fitted, epoch=epoch)
    plan, y = fitted.epoch_plan(epoch), named_digits[1]
    for c, name in enumerate(display.classes):
        natural = plan.index[~plan.is_noise & (y[plan.index] == name)]
        assert display.original[c] == len(set(natural.tolist()))
        assert display.duplicated[c] == len(natural) - len(set(natural.tolist()))
        assert display.noise[c] == np.sum(plan.is_noise & (y[plan.index] == name))
    assert (display.noise.sum() > 0) == (epoch == 3)


def test_other_resamplers(unfitted, named_digits):
    X, y = named_digits
    _, counts = np.unique(y, return_counts=True)
    plain = clone(unfitted).set_params(resampler=None, max_epochs=1).fit(X, y)
    display = RebalancedCompositionDisplay.from_estimator(plain)
    np.testing.assert_array_equal(display.original, counts)
    assert not display.duplicated.any()
    assert not display.noise.any()

    under = clone(unfitted).set_params(resampler=RandomUnderSampler, max_epochs=1).fit(X, y)
    display = RebalancedCompositionDisplay.from_estimator(under)
    np.testing.assert_array_equal(display.original, counts.min())
    assert not display.duplicated.any()

    smote = clone(unfitted).set_params(resampler=SMOTE(k_neighbors=2), max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="rows of its own"):
        RebalancedCompositionDisplay.from_estimator(smote)


def test_missing_labels_are_refused():
    with pytest.raises(ValueError, match=r"no label \(NaN or None\) in 1 of 3 rows"):
        RebalancedCompositionDisplay.from_labels([1, 2, np.nan])


def test_bars_are_stacked_largest_class_first():
    display = RebalancedCompositionDisplay([3, 9, 5], [4, 0, 3], [2, 0, 1], classes=list("abc"))
    display.plot()
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["b", "c", "a"]
    drawn = [[(bar.get_y(), bar.get_height()) for bar in bars] for bars in display.bars_]
    assert drawn == [[(0, 9), (0, 5), (0, 3)], [(9, 0), (5, 3), (3, 4)], [(9, 0), (8, 1), (7, 2)]]
    assert display.ax_.get_ylim()[1] > 9


def test_many_classes_are_not_named():
    display = RebalancedCompositionDisplay.from_labels(np.repeat(np.arange(50), 2))
    assert display.ax_.get_xlabel() == "50 classes, largest first"
