"""scikit-learn's and imbalanced-learn's own checks; two do not apply to a sampler that appends."""

import numpy as np
import pytest
import torch
from imblearn.utils import estimator_checks as imblearn_checks
from sklearn.utils import estimator_checks
from torch import nn

from sklearn_open import OPeNClassifier, over_sampling
from sklearn_open.over_sampling import M2mOverSampler, PureNoiseAppender


class NearestMeans(nn.Module):
    """A teacher that has learnt some rows: the nearer the mean of a class, the surer."""

    def __init__(self, X, y):
        super().__init__()
        self.means = torch.tensor(np.array([X[y == label].mean(0) for label in np.unique(y)]))

    def forward(self, rows):
        return -torch.cdist(rows.double(), self.means.double())


class TaughtM2m(M2mOverSampler):
    """One whose teacher knows whatever data come: the checks make up their own."""

    def _fit_resample(self, X, y, **params):
        given, self.teacher = self.teacher, NearestMeans(X.astype(float), y)
        try:
            return super()._fit_resample(X, y, **params)
        finally:
            self.teacher = given


TAUGHT = {M2mOverSampler: TaughtM2m}
ESTIMATORS = [
    OPeNClassifier(max_epochs=20, start_epoch=0, batch_size=32, lr=0.05, random_state=0, verbose=0),
    *(
        TAUGHT.get(sampler, sampler)(random_state=0)
        for name in sorted(over_sampling.__all__, reverse=True)
        if isinstance(sampler := getattr(over_sampling, name), type)
    ),
]
# They want classes balanced, and a sampling_strategy that says which: PureNoiseAppender appends in
# one ratio, whatever the classes.
OF_BALANCING = {
    "check_samplers_fit_resample",
    "check_samplers_sampling_strategy_fit_resample",
}


@pytest.mark.filterwarnings("ignore")  # the checks feed odd data on purpose
@estimator_checks.parametrize_with_checks(ESTIMATORS)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pair
        for estimator in ESTIMATORS
        for pair in imblearn_checks.estimator_checks_generator(estimator)
        if not (isinstance(estimator, PureNoiseAppender) and pair[1].func.__name__ in OF_BALANCING)
    ],
    ids=imblearn_checks._get_check_estimator_ids,
)
def test_imbalanced_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_parameter_and_column_names(estimator):
    for check in (
        estimator_checks.check_dataframe_column_names_consistency,
        imblearn_checks.check_dataframe_column_names_consistency,
    ):
        check(type(estimator).__name__, estimator)
