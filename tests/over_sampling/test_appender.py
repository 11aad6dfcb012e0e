"""PureNoiseAppender: noise on top of every batch (section 5)."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.inspection import RebalancedCompositionDisplay
from sklearn_open.noise import AdditiveGaussianNoise
from sklearn_open.over_sampling import PureNoiseAppender
from sklearn_open.over_sampling._appender import complementary
from sklearn_open.over_sampling._epochs import LabelDraw
from sklearn_open.plan import EpochPlanner


def planner(codes, ratio=1 / 4, **params):
    draw = LabelDraw(PureNoiseAppender(ratio=ratio), codes)
    params = {"start_epoch": 0, "batch_size": 128, "seed": 0, "composition": "appended", **params}
    return EpochPlanner(codes, draw, **params)


def make(**params):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    params = {"resampler": PureNoiseAppender, **params}
    return OPeNClassifier(**{**settings, "random_state": 0, "verbose": 0, **params})


def test_128_real_rows_have_32_noise_rows():
    plan = planner(np.arange(12800) % 10).plan(0)
    sizes = {(len(index) - n_noise, n_noise) for index, n_noise in plan.batches()}
    assert sizes == {(128, 32)}
    assert plan.noise_share == 0.2


@settings(max_examples=150, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=8),
    ratio=st.floats(0, 3),
    batch_size=st.integers(1, 70),
    epoch=st.integers(0, 300),
)
def test_every_batch_has_the_ratio(counts, ratio, batch_size, epoch):
    codes = np.repeat(np.arange(len(counts)), counts)
    plan = planner(codes, ratio, batch_size=batch_size).plan(epoch)
    natural = plan.index[~plan.is_noise]
    np.testing.assert_array_equal(np.sort(natural), np.arange(len(codes)))
    n_noise = np.array([n for _, n in plan.batches()])
    n_natural = np.diff(plan.bounds) - n_noise
    assert n_noise.sum() == round(ratio * len(codes))
    assert np.ptp(n_noise) <= 1
    assert np.ptp(n_natural) <= 1
    assert n_natural.max() <= max(batch_size, 3 if batch_size == 2 else 1)
    assert n_natural.min() >= min(batch_size, 2, len(codes))
    for (index, n), start in zip(plan.batches(), plan.bounds, strict=False):
        flags = plan.is_noise[start : start + len(index)]
        assert flags[len(index) - n :].all()
        assert flags.sum() == n


def test_labels_are_uniform_whatever_the_size_of_the_classes():
    codes = np.repeat([0, 1, 2, 3], [700, 200, 90, 10])
    maker = planner(codes)
    noise = np.zeros(4)
    for epoch in range(40):
        plan = maker.plan(epoch)
        noise += np.bincount(codes[plan.index[plan.is_noise]], minlength=4)
    assert noise.sum() == 40 * 250
    np.testing.assert_allclose(noise / noise.sum(), 0.25, atol=0.02)
    # Independent draws: their numbers vary from epoch to epoch.
    numbers = [
        np.bincount(codes[plan.index[plan.is_noise]], minlength=4)[0]
        for plan in map(maker.plan, range(40))
    ]
    assert 0.7 < np.std(numbers) / np.sqrt(250 * 0.25 * 0.75) < 1.4


def test_natural_rows_come_in_the_order_of_an_epoch_without_noise():
    codes = np.arange(200) % 4
    plain = EpochPlanner(codes, None, start_epoch=0, batch_size=128, seed=0)
    maker = planner(codes, start_epoch=2)
    for epoch in range(4):
        plan, other = maker.plan(epoch), plain.plan(epoch)
        np.testing.assert_array_equal(plan.index[~plan.is_noise], other.index)
        assert plan.is_noise.any() == (epoch >= 2)
    again, another = planner(codes).plan(3), planner(codes, seed=1).plan(3)
    np.testing.assert_array_equal(again.index, maker.plan(3).index)
    assert not np.array_equal(another.index, again.index)


def test_a_resampled_data_set(images):
    X, y = images
    sampler = PureNoiseAppender(ratio=1 / 2, random_state=0)
    X_res, y_res = sampler.fit_resample(X, y)
    np.testing.assert_array_equal(X_res[:60], X)
    np.testing.assert_array_equal(y_res[:60], y)
    assert sampler.noise_mask_.sum() == 30
    np.testing.assert_array_equal(y_res, y[sampler.sample_indices_])
    assert sum(sampler.sampling_strategy_.values()) == 30
    # Eq. 2-4, drawn on its own.
    mean, std = X.mean((0, 2, 3)), X.std((0, 2, 3))
    drawn = np.random.RandomState(1).normal(mean, std, (100_000, 3)).clip(0, 255)
    np.testing.assert_allclose(X_res[60:].mean((0, 2, 3)), drawn.mean(0), atol=4)
    np.testing.assert_allclose(X_res[60:].std((0, 2, 3)), drawn.std(0), atol=4)
    again = clone(sampler).fit_resample(X, y)[0]
    np.testing.assert_array_equal(again, X_res)
    other = clone(sampler).set_params(random_state=1).fit_resample(X, y)[0]
    assert not np.array_equal(other, X_res)


def test_labels_of_any_kind_and_pipelines():
    X, y = np.random.RandomState(0).rand(40, 5), np.array(["a", "b"] * 20)
    pipeline = make_pipeline(PureNoiseAppender(random_state=0), LogisticRegression())
    assert set(pipeline.fit(X, y).predict(X)) <= {"a", "b"}
    pickle.loads(pickle.dumps(pipeline))


def test_a_classifier_is_fed_what_its_plan_says(images):
    X, y = images
    clf = make(resampler__ratio=1 / 2).fit(X, y)
    for epoch in range(3):
        plan = clf.epoch_plan(epoch)
        assert int(plan.is_noise.sum()) == (0 if epoch == 0 else 30)
        sizes = [batch["train_batch_size"] for batch in clf.history[epoch, "batches"]]
        assert sizes == [len(index) for index, _ in plan.batches()]
    assert (
        make(resampler=PureNoiseAppender(ratio=1 / 2)).fit(X, y).history[:, "train_loss"]
        == clf.history[:, "train_loss"]
    )


def test_it_is_plain_training_before_start_epoch_and_without_noise(images):
    erm, clf = (make(resampler=r).fit(*images) for r in (None, PureNoiseAppender))
    losses, others = erm.history[:, "train_loss"], clf.history[:, "train_loss"]
    assert losses[0] == others[0]
    assert losses[1] != others[1]
    none = make(resampler__ratio=0).fit(*images)
    np.testing.assert_array_equal(none.predict_proba(images[0]), erm.predict_proba(images[0]))


@pytest.mark.parametrize("norm", ["dar", "aux", "standard"])
def test_all_norms_and_laws(images, norm):
    clf = make(norm=norm, resampler__noise=AdditiveGaussianNoise(50)).fit(*images)
    assert np.isfinite(clf.predict_proba(images[0])).all()


def test_checkpoints_shared_phases_and_workers_change_no_bit(images, tmp_path):
    X, y = images
    proba = make().fit(X, y).predict_proba(X)
    for params in ({"memory": tmp_path / "m"}, {"checkpoint": tmp_path / "c"}):
        for _ in range(2):
            np.testing.assert_array_equal(make(**params).fit(X, y).predict_proba(X), proba)
    grid = {"resampler__ratio": [0, 1 / 4]}
    one, two = (
        GridSearchCV(make(), grid, cv=2, n_jobs=n, refit=False).fit(X, y).cv_results_
        for n in (None, 2)
    )
    np.testing.assert_array_equal(one["mean_test_score"], two["mean_test_score"])


@pytest.mark.parametrize("ratio", [-0.1, np.nan, np.inf, "1:4", None, True])
def test_ratio(images, ratio):
    message = r"is not a ratio of noise to real rows.*1:4 is 1/4"
    with pytest.raises(ValueError, match=message):
        make(resampler__ratio=ratio).fit(*images)
    with pytest.raises(ValueError, match=message):
        PureNoiseAppender(ratio=ratio).fit_resample(*images)


def test_appending_is_a_composition_of_any_sampler_of_noise(images):
    X, y = images
    clf = make(composition="appended", resampler=PureNoiseOverSampler, start_epoch=0).fit(X, y)
    plan = clf.epoch_plan(0)
    np.testing.assert_array_equal(np.sort(plan.index[~plan.is_noise]), np.arange(60))
    assert set(y[plan.index[plan.is_noise]]) == {1, 2}  # the classes that are over-sampled
    with pytest.raises(ValueError, match="composition='appended' is a drawing of"):
        make(composition="appended", resampler=RandomOverSampler).fit(X, y)


def test_other_refusals(images):
    with pytest.raises(ValueError, match="composition='bernoulli' is a drawing of"):
        make(composition="bernoulli").fit(*images)
    with pytest.raises(ValueError, match="noise='pink' is unknown"):
        make(resampler__noise="pink").fit(*images)


def test_the_composition_alone(images):
    """Noise on top of batches of any size, from the oversampler's own draws."""
    settings = {"max_epochs": 2, "start_epoch": 1, "batch_size": 2, "random_state": 0}
    clf = OPeNClassifier(composition="appended", **settings, verbose=0).fit(*images)
    plan = clf.epoch_plan(1)
    assert plan.is_noise.any()
    np.testing.assert_array_equal(np.sort(plan.index[~plan.is_noise]), np.arange(60))
    display = RebalancedCompositionDisplay.from_estimator(clf)
    assert display.duplicated.sum() == 0
    assert display.noise.sum() == plan.is_noise.sum()
    with pytest.raises(
        ValueError, match=r"of other samplers than resampler=.*use 'appended' or 'even'"
    ):
        OPeNClassifier(composition="bernoulli", resampler=PureNoiseAppender()).fit(*images)


class TestComplementaryLabels:
    """Open-Sampling's law: what is rare among the rows is common among the noise."""

    @settings(max_examples=100, deadline=None)
    @given(counts=st.lists(st.integers(1, 10_000), min_size=1, max_size=20))
    def test_the_law(self, counts):
        counts = np.array(counts)
        prior = counts / counts.sum()
        expected = prior.max() + prior.min() - prior
        np.testing.assert_allclose(complementary(counts), expected / expected.sum(), rtol=1e-9)

    def test_labels_are_drawn_by_it(self):
        y = np.repeat([0, 1, 2], [900, 500, 100])
        sampler = PureNoiseAppender(ratio=20, noise_labels="complementary")
        index, is_noise = sampler.draw(y, np.random.RandomState(0))
        shares = np.bincount(y[index[is_noise]]) / is_noise.sum()
        np.testing.assert_allclose(shares, [1 / 15, 5 / 15, 9 / 15], atol=0.01)

    def test_the_classifier_draws_so(self, images):
        clf = make(resampler__noise_labels="complementary", resampler__ratio=2.0).fit(*images)
        plan = clf.epoch_plan(1)
        rows = np.unique(images[1], return_inverse=True)[1]
        noise = np.bincount(rows[plan.index[plan.is_noise]])
        assert noise.argmax() == np.bincount(rows).argmin()

    def test_an_unknown_law_is_refused(self, images):
        with pytest.raises(ValueError, match=r"noise_labels='balanced' is unknown\. Use one of"):
            make(resampler__noise_labels="balanced").fit(*images)
        with pytest.raises(ValueError, match="noise_labels='balanced' is unknown"):
            PureNoiseAppender(noise_labels="balanced").fit_resample(*images)
