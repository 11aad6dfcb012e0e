"""M2m as a sampler of imbalanced-learn, and as the classifier's."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.pipeline import make_pipeline
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open._persistence.fingerprint import comparable, hash_of
from sklearn_open.over_sampling import M2mOverSampler

SETTINGS = {"max_epochs": 3, "start_epoch": 2, "batch_size": 16, "random_state": 0, "verbose": 0}


class Bright(nn.Module):
    """Knows the class of `images` by its brightest channel, and is sure of it."""

    def __init__(self, factor=20.0, highest=255.0):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.highest = highest

    def forward(self, pixels):
        return self.factor * pixels.flatten(2).mean(2) / self.highest


@pytest.fixture(scope="module")
def teacher(images):
    X, y = images
    assert (Bright()(torch.from_numpy(X).float()).argmax(1).numpy() == y).all()
    return Bright()


EASY = {"beta": 0.9, "threshold": 0.6, "step_size": 1.0}


class TestFitResample:
    def test_what_is_returned(self, images, teacher):
        X, y = images
        sampler = M2mOverSampler(teacher, **EASY, random_state=0)
        X_new, y_new = sampler.fit_resample(X, y)
        assert np.bincount(y_new).tolist() == [36, 36, 36]
        np.testing.assert_array_equal(X_new[:60], X)
        made = sampler.translated_mask_
        assert not made[:60].any()
        assert made.sum() > 10
        np.testing.assert_array_equal(X_new[~made], X[sampler.sample_indices_[~made]])
        np.testing.assert_array_equal(y_new, y[sampler.sample_indices_])
        assert sampler.sampling_strategy_ == {1: 18, 2: 30}

        seeds = sampler.seed_indices_[made]
        counts = np.bincount(y)
        assert (counts[y[seeds]] > counts[y_new[made]]).all()
        assert (X_new[made] != X[seeds]).any(axis=(1, 2, 3)).all()
        proba = teacher(torch.from_numpy(X_new[made]).float()).softmax(1).detach().numpy()
        assert (proba.argmax(1) == y_new[made]).all()
        assert (proba[np.arange(made.sum()), y_new[made]] >= 0.6).all()

    @pytest.mark.parametrize("low_high", [(0, 1), (-3, 5)])
    def test_other_units(self, images, low_high):
        low, high = low_high
        X, y = images
        unit = X.astype(np.float32) / 255
        X = (low + unit * (high - low)).astype(np.float32)
        X[0, 0, 0, 0], X[0, 1, 0, 0] = low, high  # the range that is seen
        sampler = M2mOverSampler(Bright(20.0, high - low), **EASY, random_state=0)
        X_new, _ = sampler.fit_resample(X, y)
        assert X_new.dtype == np.float32
        assert sampler.translated_mask_.sum() > 10
        assert low <= X_new.min() < X_new.max() <= high

    def test_layouts_and_containers(self, images, teacher):
        X, y = images
        sampler = M2mOverSampler(teacher, **EASY, random_state=0)
        first, _ = sampler.fit_resample(X, y)
        last, _ = clone(sampler).fit_resample(X.transpose(0, 2, 3, 1), y)
        np.testing.assert_array_equal(last.transpose(0, 3, 1, 2), first)
        flat = nn.Sequential(nn.Unflatten(1, (3, 8, 8)), teacher)
        on_table = M2mOverSampler(flat, **EASY, random_state=0)
        frame = pd.DataFrame(X.reshape(60, -1).astype(float)).rename(columns=str)
        table, labels = on_table.fit_resample(frame, pd.Series(np.array(["a", "b", "c"])[y]))
        assert isinstance(table, pd.DataFrame)
        assert labels.value_counts().tolist() == [36, 36, 36]
        assert on_table.translated_mask_.any()

    def test_in_a_pipeline_and_with_a_fitted_estimator(self, digits_lt):
        X, y = digits_lt
        erm = OPeNClassifier(resampler=None, max_epochs=6, random_state=0, verbose=0).fit(X, y)
        sampler = M2mOverSampler(erm, threshold=0.5, step_size=0.3, random_state=0)
        X_new, y_new = sampler.fit_resample(X, y)
        made = sampler.translated_mask_
        assert made.sum() > 20
        assert (erm.predict(X_new[made]) == y_new[made]).all()
        flat = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), LogitsOf(erm.to_torch()))
        pipeline = make_pipeline(
            M2mOverSampler(flat, threshold=0.5, random_state=0), LogisticRegression(max_iter=200)
        )
        assert (
            pipeline.fit(X.reshape(len(X), -1) / 16, y).score(X.reshape(len(X), -1) / 16, y) > 0.9
        )

    def test_nothing_is_accepted(self, images, teacher):
        X, y = images
        sampler = M2mOverSampler(teacher, threshold=1.0, random_state=0)
        X_new, _ = sampler.fit_resample(X, y)
        assert not sampler.translated_mask_.any()
        np.testing.assert_array_equal(X_new, X[sampler.sample_indices_])

    def test_it_needs_a_teacher(self, images):
        with pytest.raises(ValueError, match="teacher=None: pass a network"):
            M2mOverSampler().fit_resample(*images)

    def test_it_follows_the_random_state(self, images, teacher):
        made = [
            M2mOverSampler(teacher, **EASY, random_state=seed).fit_resample(*images)[0]
            for seed in (0, 0, 1)
        ]
        np.testing.assert_array_equal(made[0], made[1])
        assert not np.array_equal(made[0], made[2])


class LogitsOf(nn.Module):
    """The logits of a network of `to_torch`, for pixels from 0 to 1."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixels):
        return self.network.to_logits(pixels * 16)


@pytest.mark.parametrize(
    "params",
    [
        {"beta": 1.0},
        {"beta": -0.1},
        {"trade_off": -1},
        {"threshold": 1.1},
        {"step_size": 0},
        {"n_steps": 0},
        {"n_steps": 1.5},
        {"beta": "x"},
    ],
)
def test_parameters_are_checked_before_anything_is_made(params, images):
    name = next(iter(params))
    for made in (
        lambda: M2mOverSampler(Bright(), **params).fit_resample(*images),
        lambda: OPeNClassifier(resampler=M2mOverSampler(**params), **SETTINGS).fit(*images),
    ):
        with pytest.raises(ValueError, match=name):
            made()


# --- the teacher goes where the sampler goes ---


def test_clones_and_copies_have_a_teacher_that_knows_what_it_did(images):
    X, y = images
    erm = OPeNClassifier(resampler=None, **SETTINGS).fit(X, y)
    sampler = M2mOverSampler(erm, threshold=0.4, step_size=1.0, random_state=0)
    expected, _ = sampler.fit_resample(X, y)
    for twin in (clone(sampler), copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))):
        np.testing.assert_array_equal(twin.fit_resample(X, y)[0], expected)
        assert twin.teacher is not erm
    clf = clone(OPeNClassifier(resampler=sampler, **SETTINGS))
    assert hasattr(clf.resampler.teacher, "module_")


def test_an_unfitted_teacher_is_refused_with_what_undid_the_fit(images):
    search = GridSearchCV(
        OPeNClassifier(resampler=M2mOverSampler, **SETTINGS),
        {"resampler__teacher": [OPeNClassifier(resampler=None, **SETTINGS).fit(*images)]},
        cv=2,
        error_score="raise",
    )
    with pytest.raises(ValueError, match=r"clone.*undoes a fit"):
        search.fit(*images)


def test_a_search_over_its_parameters(images, teacher, tmp_path):
    clf = OPeNClassifier(resampler=M2mOverSampler(teacher, **EASY), memory=tmp_path, **SETTINGS)
    grid = {"resampler__beta": [0.5, 0.9], "resampler__threshold": [0.5, 1.0]}
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(*images)
    assert len(search.cv_results_["params"]) == 4
    assert len(list(tmp_path.glob("joblib/**/output.pkl"))) == 3  # two folds, and the refit


def test_a_checkpoint_knows_the_teacher_by_its_weights(images, tmp_path):
    from sklearn_open.exceptions import CheckpointError

    def fit(factor):
        sampler = M2mOverSampler(Bright(factor), **EASY)
        return OPeNClassifier(resampler=sampler, checkpoint=tmp_path, **SETTINGS).fit(*images)

    fit(20.0)
    fit(20.0)
    with pytest.raises(CheckpointError, match="resampler"):
        fit(21.0)


def test_a_file_keeps_the_kind_of_sampler(images, tmp_path):
    clf = OPeNClassifier(resampler=M2mOverSampler, resampler__beta=0.9, **SETTINGS).fit(*images)
    clf.save(tmp_path / "clf.safetensors")
    loaded = OPeNClassifier.load(tmp_path / "clf.safetensors")
    assert loaded.resampler is M2mOverSampler
    assert loaded.get_params()["resampler__beta"] == 0.9


def test_it_draws_batches_as_random_over_sampling_does(images, teacher):
    """With a threshold that nothing reaches it is deferred over-sampling, to the bit."""
    sampler = M2mOverSampler(teacher, threshold=1.0)
    m2m = OPeNClassifier(resampler=sampler, **SETTINGS).fit(*images)
    drs = OPeNClassifier(delta=0, **SETTINGS).fit(*images)
    torch.testing.assert_close(m2m.module_.state_dict(), drs.module_.state_dict(), rtol=0, atol=0)
    bernoulli = clone(m2m).set_params(composition="bernoulli").fit(*images)
    assert not bernoulli.epoch_plan(2).is_noise.any()
    assert len(set(bernoulli.epoch_plan(2).index)) < 60


def test_teachers_of_other_pixels_or_classes_are_others(images):
    X, y = images
    one = OPeNClassifier(resampler=None, **SETTINGS).fit(X, y)
    samplers = [M2mOverSampler(copy.deepcopy(one)) for _ in range(4)]
    samplers[1].teacher.transform_ = replace(one.transform_, mean=one.transform_.mean + 1)
    samplers[2].teacher.classes_inferred_ = np.array([2, 1, 0])
    same, *others = (hash_of(comparable(sampler)) for sampler in [samplers[3], *samplers[:3]])
    assert same == others[0]
    assert len(set(others)) == 3
