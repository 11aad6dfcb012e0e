"""Parameters that are set on a fitted estimator."""

import pickle

import numpy as np
import pytest
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from torchvision.transforms import v2

from sklearn_open import OPeNClassifier, PureNoiseOverSampler


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def test_parameters_can_be_set_after_fit(images):
    clf = make().fit(*images)
    clf.set_params(delta=0.5, resampler__noise="uniform", start_epoch=0).fit(*images)
    assert clf.resampler_.delta == 0.5
    assert clf.resampler_.noise == "uniform"
    assert clf.epoch_plan(0).is_noise.any()


@pytest.mark.parametrize("resampler", [None, RandomUnderSampler, PureNoiseOverSampler(delta=1)])
def test_the_resampler_itself_can_be_set_after_fit(images, resampler):
    clf = make().fit(*images).set_params(resampler=resampler).fit(*images)
    assert type(clf.resampler_) in (resampler, type(resampler))


def test_a_new_learning_rate_counts(images):
    clf = make(max_epochs=2, lr_milestones=()).partial_fit(*images)
    clf.set_params(lr=0.01).partial_fit(*images)
    assert clf.history[:, "lr"] == [0.05, 0.05, 0.01, 0.01]


def test_a_changed_precision_counts_in_what_follows(images):
    clf = make(max_epochs=1).fit(*images)
    clf.set_params(precision="fp16").partial_fit(*images)
    assert clf.scaler_.is_enabled()
    clf.set_params(precision="float32").partial_fit(*images)
    assert not clf.scaler_.is_enabled()


def test_parameters_may_be_modules(images, tmp_path):
    X, y = images
    flip, normalize = v2.RandomHorizontalFlip(), v2.Normalize([0.5], [0.2])
    clf = make(augment=flip, normalize=normalize)
    grid = {"augment": [None, flip], "normalize": ["dataset", normalize]}
    GridSearchCV(clf, grid, cv=2, error_score="raise").fit(X, y)
    clf.fit(X, y)
    pickle.loads(pickle.dumps(clone(clf).set_params(augment=flip).fit(X, y)))
    recipe = {"max_epochs": 1, "module": "SmallCNN", "normalize": normalize, "augment": flip}
    OPeNClassifier.from_recipe("cifar10_lt_ir100", verbose=0, **recipe).fit(X, y)
    assert clf.augment is flip
    first, second = (
        make(augment=flip, memory=tmp_path, checkpoint=None).fit(X, y) for _ in range(2)
    )
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomCrop(8, padding=1),
        v2.ColorJitter(0.1),
        v2.RandomResizedCrop(8),
        v2.RandomErasing(),
        v2.GaussianBlur(3),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_transforms_with_get_params_of_their_own(images, transform):
    """torchvision's `get_params` is not scikit-learn's."""
    clf = clone(make(augment=transform))
    assert type(clf.get_params()["augment"]) is type(transform)
    assert clf.augment is not transform
    cross_val_score(clf, *images, cv=2, error_score="raise")
    # A grid's values are cloned by scikit-learn, which a `Compose` around them lets pass.
    grid = {"augment": [None, v2.Compose([transform])]}
    GridSearchCV(clf, grid, cv=2, error_score="raise").fit(*images)
    assert "augment" in repr(clf)
    pickle.loads(pickle.dumps(clf.fit(*images)))


def test_names_that_end_with_an_underscore_are_parameters(images):
    """skorch takes them for what was fitted: clones would forget them."""
    clf = OPeNClassifier(criterion="lade", criterion__lambda_=0.5, max_epochs=1, verbose=0)
    assert clone(clf).get_params()["criterion__lambda_"] == 0.5
    clf.fit(*images).set_params(criterion__lambda_=0.7)
    assert clf.criterion_.lambda_ == 0.7
    assert clone(clf).fit(*images).criterion_.lambda_ == 0.7
    with pytest.raises(ValueError, match="criterion__lambda"):
        OPeNClassifier(criterion="lade", criterion__lamda_=0.5, verbose=0).fit(*images)
