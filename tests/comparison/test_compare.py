"""`compare_methods` from end to end."""

import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback
from torch.utils.data import Dataset

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.comparison import compare_methods
from sklearn_open.comparison._folds import make_folds
from sklearn_open.comparison._job import Job
from sklearn_open.comparison._pace import Pace


def net(**params):
    settings = {"max_epochs": 4, "batch_size": 16, "start_epoch": 0.5, "random_state": 0}
    return OPeNClassifier(**{**settings, "lr_milestones": (), "verbose": 0, **params})


METHODS = ["erm", "logit_adjusted", "open", ("open", {"logit_adjustment": 0.5})]


@pytest.fixture(scope="module")
def found(images):
    return compare_methods(net(verbose=1), *images, methods=METHODS, cv=3)


def test_scores_are_those_of_fits_by_hand(found, images):
    X, y = images
    seed = np.random.RandomState(0).randint(2**31 - 1)
    estimators = {
        "erm": net(resampler=None),
        "logit_adjusted": net(resampler=None, logit_adjustment=1.0),
        "open": net(delta=1 / 3),
        "open (logit_adjustment=0.5)": net(delta=1 / 3, logit_adjustment=0.5),
    }
    folds = make_folds(y, 3, None, seed)
    for row, name in enumerate(found.methods_):
        by_hand = cross_val_score(estimators[name], X, y, cv=folds, scoring="balanced_accuracy")
        np.testing.assert_array_equal(found.scores_[row], by_hand)


def test_the_best_is_fitted_on_all_rows(found, images):
    X, y = images
    by_hand = clone(net(**found.best_params_)).fit(X, y)
    np.testing.assert_array_equal(found.best_estimator_.predict_proba(X), by_hand.predict_proba(X))
    assert found.best_estimator_.memory is None
    assert found.best_estimator_.get_params()["verbose"] == 1
    assert found.best_score_ == found.scores_.mean(axis=1).max()


def test_results_are_scikit_learns(found):
    results = found.cv_results_
    assert results["params"][0] == {"resampler": None}
    np.testing.assert_array_equal(results["mean_test_score"], found.scores_.mean(axis=1))
    np.testing.assert_array_equal(results["split1_test_score"], found.scores_[:, 1])
    np.testing.assert_array_equal(results["std_test_score"], found.scores_.std(axis=1))
    assert results["rank_test_score"].min() == 1
    assert results["rank_test_score"].argmin() == found.best_index_


def test_epochs_in_common_are_trained_once(counted, images):
    compare_methods(
        counted(**net().get_params(deep=False)), *images, methods=METHODS, cv=3, refit=False
    )
    short = 2 * 3  # two methods to be sure that they can be trained
    assert type(counted()).epochs_run == short + 3 * (2 + 2 + 2)


def test_random_labels_are_guessed(images):
    """Nothing of the rows that are tested gets into training."""
    X = np.repeat(images[0], 3, axis=0) + np.random.RandomState(0).randint(0, 50, (180, 3, 8, 8))
    X = X.astype(np.uint8)
    y = np.random.RandomState(1).permutation(np.repeat([0, 1], 90))
    found = compare_methods(
        net(max_epochs=10), X, y, methods=["erm", "drs"], cv=4, refit=False, random_state=0
    )
    assert abs(found.scores_.mean() - 0.5) < 0.08


def test_a_comparison_that_was_ended_goes_on(counted, images, tmp_path):
    estimator = counted(**net().get_params(deep=False))
    args = {"methods": METHODS, "cv": 3, "memory": tmp_path}
    whole = compare_methods(estimator, *images, **args)
    ran = type(estimator).epochs_run
    again = compare_methods(estimator, *images, **args)
    assert type(estimator).epochs_run == ran
    assert str(again) == str(whole)
    more = compare_methods(estimator, *images, **{**args, "methods": [*METHODS, "drs"]})
    assert type(estimator).epochs_run > ran
    np.testing.assert_array_equal(more.scores_[:4], whole.scores_)


def test_other_rows_are_another_comparison(images, tmp_path):
    X, y = images
    args = {"methods": ["erm"], "cv": 3, "memory": tmp_path, "refit": False}
    first = compare_methods(net(), X, y, **args)
    other = compare_methods(net(), X[::-1], y[::-1], **args)
    assert not np.array_equal(first.confusion_, other.confusion_) or not np.array_equal(
        first.fit_times_, other.fit_times_
    )


@pytest.mark.slow  # processes import torch
def test_processes_find_the_same(found, images, tmp_path):
    twice = compare_methods(net(), *images, methods=METHODS, cv=3, n_jobs=2, refit=False)
    np.testing.assert_array_equal(twice.scores_, found.scores_)


def test_ctrl_c_keeps_what_is_done(counted, images, tmp_path, monkeypatch):
    estimator = counted(**net().get_params(deep=False))
    args = {"methods": METHODS, "cv": 3, "verbose": 1, "refit": False}
    told = []

    def tell(*of_fit):
        told.append(of_fit)
        if len(told) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(Job, "_tell", tell)
    with pytest.raises(KeyboardInterrupt):
        compare_methods(estimator, *images, memory=tmp_path, **args)
    monkeypatch.undo()
    ran = type(estimator).epochs_run
    went_on = compare_methods(estimator, *images, memory=tmp_path, **args)
    assert type(estimator).epochs_run - ran == 2 * 2  # two folds of "open", from the shared epochs
    assert str(went_on) != ""
    whole = compare_methods(estimator, *images, **args)
    np.testing.assert_array_equal(went_on.scores_, whole.scores_)


class Ends(Callback):
    def on_epoch_end(self, net, **kwargs):
        signal.raise_signal(signal.SIGINT)


def test_a_fit_that_ctrl_c_has_ended_is_no_result(images, tmp_path):
    estimator = net(callbacks=[Ends()])
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            compare_methods(estimator, *images, methods=["drs"], cv=2, memory=tmp_path)


def test_parameters_without_a_digest_train_alone(images):
    estimator = net(module=lambda num_classes, in_channels: SmallCNN(in_channels, num_classes))
    with pytest.warns(UserWarning, match="Every method trains alone"):
        found = compare_methods(estimator, *images, methods=METHODS, cv=2, refit=False)
    shared = compare_methods(net(), *images, methods=METHODS, cv=2, refit=False)
    np.testing.assert_array_equal(found.scores_, shared.scores_)


@pytest.mark.slow
def test_a_comparison_that_was_killed_goes_on(tmp_path):
    script = textwrap.dedent(
        """
        import os, signal, sys
        import numpy as np, torch
        torch.set_num_threads(1)
        from sklearn_open import OPeNClassifier
        from sklearn_open.comparison import compare_methods
        class Dies(OPeNClassifier):
            def run_single_epoch(self, *args, **kwargs):
                super().run_single_epoch(*args, **kwargs)
                left = int(open(sys.argv[2]).read())
                open(sys.argv[2], "w").write(str(left - 1))
                if left == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
        rng = np.random.RandomState(0)
        X, y = rng.randint(0, 255, (40, 8, 8), dtype=np.uint8), np.repeat([0, 1], [30, 10])
        net = Dies(max_epochs=2, start_epoch=1, batch_size=16, random_state=0, verbose=0)
        found = compare_methods(net, X, y, methods=["erm", "drs"], cv=2, memory=sys.argv[1])
        print([row["score"] for row in found.rows()], found.best_estimator_.predict(X).sum())
        """
    )

    def run(folder, lives):
        (tmp_path / "lives").write_text(str(lives))
        return subprocess.run(
            [sys.executable, "-c", script, str(folder), str(tmp_path / "lives")],
            capture_output=True,
            text=True,
            check=False,
        )

    whole = run(tmp_path / "whole", 0)
    assert whole.returncode == 0, whole.stderr
    for at in (3, 7, 9, 13):
        ended = run(tmp_path / f"killed{at}", at)
        assert ended.returncode == -9
        assert run(tmp_path / f"killed{at}", 0).stdout == whole.stdout


def test_groups_stay_on_one_side(images):
    X, y = images
    X, y, groups = np.repeat(X, 2, axis=0), np.repeat(y, 2), np.repeat(np.arange(len(y)), 2)
    with pytest.warns(UserWarning, match="copies are trained on: .* while the same is"):
        loose = compare_methods(net(), X, y, methods=["erm"], cv=2, refit=False)
    assert loose.copies_["exact"] > 0
    kept = compare_methods(net(), X, y, methods=["erm"], cv=2, groups=groups, refit=False)
    assert kept.copies_ == {"exact": 0, "near": 0}
    assert "better than they will be" in str(loose)
    assert "better than they will be" not in str(kept)


def test_labels_are_words_and_pipelines_do(images):
    X, y = images
    words = np.array(["good", "crack", "hole"])[y]
    pipeline = make_pipeline(FunctionTransformer(), net())
    found = compare_methods(pipeline, X, words, methods=["erm", "drs"], cv=2)
    assert set(found.best_estimator_.predict(X)) <= set(words)
    assert "good another class" in str(found) or found.best_method_ == "erm"


class Photos(Dataset):
    def __init__(self, X, y):
        self.X, self.y = X, y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.X[i], int(self.y[i])


def test_data_sets_are_read_while_training(images, tmp_path):
    X, y = images
    args = {"methods": ["erm"], "cv": 2, "refit": False}
    read = compare_methods(net(), Photos(X, y), **args)
    held = compare_methods(net(), X, y, **args)
    np.testing.assert_array_equal(read.scores_, held.scores_)
    with pytest.raises(ValueError, match="a Photos is read while training"):
        compare_methods(net(), Photos(X, y), memory=tmp_path, **args)


def test_two_stages_and_teachers_are_compared(images):
    methods = ["erm", ("m2m", {"resampler__n_steps": 1}), "tau_norm", "balms"]
    methods[-1] = ("balms", {"final_estimator__max_epochs": 1})
    found = compare_methods(net(), *images, methods=methods, cv=2)
    assert found.methods_ == ["erm", "m2m", "tau_norm", "balms"]
    X, _ = images
    assert found.best_estimator_.predict(X).shape == (60,)


def test_time_is_planned(images, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sklearn_open.comparison._job.measure_pace", lambda *_, **__: Pace(4e-4, 4e-4)
    )
    args = {"methods": ["erm", "drs"], "memory": tmp_path, "verbose": 1}
    ample = compare_methods(net(), *images, minutes=30, **args)
    assert (ample.plan_.n_folds, ample.plan_.max_epochs) == (5, 4)
    assert "5 folds, 4 epochs: about" in capsys.readouterr().out
    tight = compare_methods(net(max_epochs=1000, batch_size=8), *images, minutes=0.05, **args)
    assert tight.plan_.n_folds == 3
    assert tight.plan_.max_epochs == 22
    assert tight.best_estimator_.max_epochs == tight.plan_.max_epochs
    again = compare_methods(net(max_epochs=1000, batch_size=8), *images, minutes=0.05, **args)
    assert str(again) == str(tight)  # the plan is kept, too


def test_bad_arguments_are_refused_before_training(images, monkeypatch):
    X, y = images
    monkeypatch.setattr(OPeNClassifier, "run_single_epoch", None)
    for args, word in (
        ({"minutes": 0}, "minutes=0"),
        ({"methods": ["opem"]}, "Is it 'open'"),
        ({"scoring": "no_score"}, "no_score"),
        ({"groups": [1, 2]}, "2 groups and 60 rows"),
        ({"groups": [None] * 60}, "60 rows have no group"),
        ({"cv": 1}, "cv=1"),
    ):
        with pytest.raises(ValueError, match=word):
            compare_methods(net(), X, y, **args)
    with pytest.raises(ValueError, match="NaN"):
        compare_methods(net(), np.where(X > 200, np.nan, X), y)


def test_a_method_that_the_network_does_not_suit_is_named_before_the_others_train(images, counted):
    import torchvision

    estimator = counted(**net(module=torchvision.models.squeezenet1_1).get_params(deep=False))
    X = np.kron(images[0], np.ones((1, 1, 4, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match="method 'ldam_drw' cannot be trained here"):
        compare_methods(estimator, X, images[1], methods=["ldam_drw", "erm"], cv=2)
    assert type(estimator).epochs_run == 0


class Fails(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise ArithmeticError("too wild")


def test_a_fold_that_fails_leaves_the_others(counted, images, tmp_path):
    wild = ("wild", {"callbacks": [Fails()], "resampler": None})
    args = {"cv": 2, "memory": tmp_path, "refit": False}
    with pytest.warns(UserWarning, match="wild: no score on some folds: ArithmeticError: too wild"):
        found = compare_methods(net(), *images, methods=["erm", wild], **args)
    assert np.isnan(found.scores_[1]).all()
    assert found.best_method_ == "erm"
    assert "wild failed on some folds" in str(found)
    assert found.ranked() == ["erm", "wild"]
    assert np.isnan(found.cv_results_["mean_test_macro_f1"][1])


def test_scores_that_do_not_go_with_the_labels_are_found_first(images, counted):
    estimator = counted(**net().get_params(deep=False))
    for scoring, error, word in (
        ("roc_auc", ValueError, "roc_auc_ovr"),
        ("f1", ValueError, "f1_macro"),
        (["accuracy", "f1_macro"], TypeError, "pass one name"),
        ({"a": "accuracy"}, TypeError, "pass one name"),
    ):
        with pytest.raises(error, match=word):
            compare_methods(estimator, *images, methods=["erm"], cv=2, scoring=scoring)
    assert type(estimator).epochs_run <= 6  # a few steps, to try the score


def test_without_a_seed_what_is_kept_is_found_again(images, tmp_path):
    args = {"methods": ["erm"], "cv": 2, "refit": False, "memory": tmp_path}
    first = compare_methods(net(random_state=None), *images, **args)
    again = compare_methods(net(random_state=None), *images, **args)
    assert str(first) == str(again)


def test_slips_of_the_pen_are_told_of(images):
    with pytest.warns(UserWarning, match="If 'open' is meant"):
        compare_methods(net(), *images, methods=[("opne", {"delta": 0.5})], cv=2, refit=False)


def test_scores_of_ones_own(images):
    X, y = images

    def recall_of_two(estimator, X, y):
        return np.mean(estimator.predict(X)[y == 2] == 2)

    found = compare_methods(net(), X, y, methods=["erm"], cv=2, scoring=recall_of_two, refit=False)
    np.testing.assert_allclose(found.scores_, found.recalls_[:, :, 2])
