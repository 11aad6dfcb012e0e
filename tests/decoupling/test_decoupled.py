"""DecoupledClassifier as an estimator: stages, files, memory, checkpoints, classes."""

import pickle
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN
from sklearn_open.datasets import make_long_tailed
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.recipes import make_classifier

SETTINGS = {"batch_size": 16, "random_state": 0, "verbose": 0}
FINAL = {"delta": 0, "start_epoch": 0, "max_epochs": 3, **SETTINGS}


def make(cls=OPeNClassifier, final=None, **params):
    first = cls(resampler=None, max_epochs=4, start_epoch=2, **SETTINGS)
    final = OPeNClassifier(**{**FINAL, **(final or {})})
    return DecoupledClassifier(first, final, **{"head": "fresh", **params})


def same(one, other):
    for name in ("estimator_", "final_estimator_"):
        states = [getattr(clf, name).module_.state_dict() for clf in (one, other)]
        torch.testing.assert_close(*states, rtol=0, atol=0)


# --- the first stage: fitted here, frozen, or from a file ---


def test_first_stages_of_all_kinds_give_the_same(images, tmp_path):
    X, y = images
    fitted = make().fit(X, y)
    erm = clone(fitted.estimator).fit(X, y)
    erm.save(tmp_path / "erm.safetensors")
    state = pickle.dumps(erm.module_.state_dict())
    for first in (FrozenEstimator(erm), tmp_path / "erm.safetensors"):
        same(make().set_params(estimator=first).fit(X, y), fitted)
    frozen = clone(make().set_params(estimator=FrozenEstimator(erm)))
    same(frozen.fit(X, y), fitted)
    assert pickle.dumps(erm.module_.state_dict()) == state  # left as it was
    assert fitted.estimator_ is not fitted.first_stage_
    torch.testing.assert_close(fitted.first_stage_.module_.state_dict(), erm.module_.state_dict())


@pytest.mark.parametrize("norm", ["dar", "aux", "standard"])
def test_a_first_stage_with_noise(images, norm, tmp_path):
    X, y = images
    clf = make(tau=0.5).set_params(estimator__resampler=None)
    clf.estimator = OPeNClassifier(max_epochs=3, start_epoch=1, norm=norm, delta=0.5, **SETTINGS)
    clf.set_params(shift_norm=True).fit(X, y)
    clf.save(tmp_path / "clf.safetensors")
    loaded = OPeNClassifier.load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    expected = clf.to_torch()(torch.from_numpy(X).float())
    np.testing.assert_allclose(expected, clf.predict_proba(X), atol=1e-5)


def test_a_second_stage_with_noise_trains_the_head_only(images):
    X, y = images
    clf = make(final={"delta": 0.5}).fit(X, y)
    assert clf.final_estimator_.epoch_plan(0).is_noise.any()
    before, after = (c.module_.state_dict() for c in (clf.first_stage_, clf.estimator_))
    assert {n for n in before if not torch.equal(before[n], after[n])} == {"fc.weight", "fc.bias"}


# --- classes and labels ---


def test_labels_text_in_any_order_and_absent_ones(images):
    X, y = images
    names, order = np.array(["many", "some", "few"]), ["few", "none", "many", "some"]
    for head in ("kept", "fresh"):
        clf = make(head=head).set_params(estimator__classes=order).fit(X, names[y])
        assert clf.classes_.tolist() == order
        assert clf.class_count_.tolist() == [6, 0, 36, 18]
        assert set(clf.predict(X)) <= set(names)


def test_a_fresh_head_for_other_classes(images, tmp_path):
    X, y = images
    erm = OPeNClassifier(SmallCNN, resampler=None, max_epochs=2, **SETTINGS).fit(X, y)
    other = np.array(["cat", "dog", "eel", "fox"])[np.arange(60) % 4]
    clf = make().set_params(estimator=FrozenEstimator(erm)).fit(X, other)
    assert clf.classes_.tolist() == ["cat", "dog", "eel", "fox"]
    assert clf.predict_proba(X).shape == (60, 4)
    clf.save(tmp_path / "clf.safetensors")
    loaded = DecoupledClassifier.load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    clf.estimator_.partial_fit(X, other)
    kept = make(head="kept").set_params(estimator=FrozenEstimator(erm))
    with pytest.raises(ValueError, match="Use head='fresh'"):
        kept.fit(X, other)


def test_a_network_that_nobody_trained_here(images):
    """Pretrained features: no epochs in the first stage, and a head for these classes."""
    X, y = images
    torch.manual_seed(0)
    network = nn.Sequential(SmallCNN(in_channels=3, num_classes=50), nn.ReLU(), nn.Linear(50, 1000))
    first = OPeNClassifier(network, resampler=None, max_epochs=0, **SETTINGS)
    clf = DecoupledClassifier(first, OPeNClassifier(**{**FINAL, "max_epochs": 30}), head="fresh")
    assert clf.fit(X, y).score(X, y) > 0.5
    assert clf.on_features_
    assert clf.estimator_.module_[2].out_features == 3
    torch.testing.assert_close(clf.estimator_.module_[0].state_dict(), network[0].state_dict())


def test_frames_and_tables(digits_lt):
    X, y = digits_lt
    frame = pd.DataFrame(X.reshape(len(X), -1)).rename(columns="pixel {}".format)
    first = OPeNClassifier(resampler=None, max_epochs=3, image_shape=(8, 8), **SETTINGS)
    clf = DecoupledClassifier(first, OPeNClassifier(**FINAL)).fit(frame, y)
    assert clf.n_features_in_ == 64
    assert clf.feature_names_in_[0] == "pixel 0"
    assert clf.predict(frame).shape == y.shape
    whole = make_pipeline(clone(clf)).fit(X.reshape(len(X), -1), y)
    assert whole.score(X.reshape(len(X), -1), y) > 0.5


def test_a_second_stage_sees_pixels_as_the_first_did(images):
    X, y = images
    erm = OPeNClassifier(resampler=None, max_epochs=2, **SETTINGS).fit(X, y)
    frozen = make().set_params(estimator=FrozenEstimator(erm))
    dark = X // 3  # no statistics, and no range, of these
    a = clone(frozen).fit(dark, y)
    np.testing.assert_array_equal(a.estimator_.transform_.mean, erm.transform_.mean)
    b = clone(frozen).set_params(final_estimator__augment=same_rows).fit(dark, y)
    np.testing.assert_allclose(a.predict_proba(dark), b.predict_proba(dark), rtol=1e-3, atol=1e-5)
    with pytest.warns(UserWarning, match="nearly black"):
        clone(frozen).fit((X / 255).astype(np.float32), y)
    with pytest.raises(ValueError, match="shape"):
        clone(frozen).fit(X[:, :, :4], y)


def same_rows(x):
    return x


# --- memory, checkpoints, searches ---


def test_a_search_over_second_stages_trains_the_first_once_per_fold(images, tmp_path, counted):
    grid = {"final_estimator__lr": [0.01, 0.1], "final_estimator__delta": [0, 0.5]}
    clf = make(counted, memory=tmp_path)
    search = GridSearchCV(clf, grid, cv=2, refit=False, error_score="raise").fit(*images)
    assert counted.epochs_run == 2 * 4
    alone = GridSearchCV(make(), grid, cv=2, refit=False, error_score="raise").fit(*images)
    for key in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(search.cv_results_[key], alone.cv_results_[key])
    counted.epochs_run = 0
    base = counted(delta=0.3, memory=tmp_path, max_epochs=4, start_epoch=2, **SETTINGS)
    cross_val_score(base, *images, cv=2)
    assert counted.epochs_run == 2 * 2  # the epochs before are those of the first stage


def test_memory_knows_rows_parameters_and_seeds(images, tmp_path, counted):
    X, y = images
    clf = make(counted, memory=tmp_path)
    for other, epochs in (
        ({}, 4),
        ({"final_estimator__lr": 0.01}, 0),
        ({"head": "kept"}, 0),
        ({"estimator__lr": 0.05}, 4),
        ({"estimator__random_state": 1}, 4),
        ({}, 0),
    ):
        before = counted.epochs_run
        clone(clf).set_params(**other).fit(X, y)
        assert counted.epochs_run - before == epochs, other
    before = counted.epochs_run
    clone(clf).fit(X[::-1], y[::-1])
    assert counted.epochs_run - before == 4


def test_memory_needs_arrays(images, tmp_path):
    X, y = images
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    with pytest.raises(TypeError, match="with memory="):
        make(memory=tmp_path).fit(data)
    from_items = make().fit(data)
    np.testing.assert_array_equal(from_items.predict_proba(X), make().fit(X, y).predict_proba(X))


class Stopped(Exception):
    """A training that dies."""


class Dies(OPeNClassifier):
    """One that dies at the end of its second epoch."""

    def run_single_epoch(self, iterator, training, *args, **kwargs):
        super().run_single_epoch(iterator, training, *args, **kwargs)
        if training and len(self.history) == 2:
            raise Stopped


@pytest.mark.parametrize("stage", ["estimator", "final_estimator"])
def test_a_stage_that_died_ends_with_the_same_bits(images, tmp_path, stage):
    whole = make().fit(*images)
    dying = make(checkpoint=tmp_path)
    dying.set_params(**{stage: Dies(**getattr(dying, stage).get_params(deep=False))})
    with pytest.raises(Stopped):
        dying.fit(*images)
    same(make(checkpoint=tmp_path).fit(*images), whole)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["first", "second"]


KILLED = """
    import os, signal, sys
    import numpy as np
    from sklearn_open import OPeNClassifier
    from sklearn_open.recipes import make_classifier

    rng = np.random.RandomState(0)
    X, y = rng.randint(0, 256, (60, 8, 8), dtype=np.uint8), np.repeat([0, 1, 2], [36, 18, 6])
    method, folder, then = sys.argv[1:]

    def make(**params):
        clf = make_classifier(
            None, method, max_epochs=3, batch_size=16, random_state=0, verbose=0,
            final_estimator__max_epochs=4, final_estimator__augment="flip_crop", **params,
        )
        return clf

    clf = make(checkpoint=folder)

    class Killed(type(clf.final_estimator)):
        def run_single_epoch(self, iterator, training, *args, **kwargs):
            super().run_single_epoch(iterator, training, *args, **kwargs)
            if then == "kill" and len(self.history) == 3:
                os.kill(os.getpid(), signal.SIGKILL)

    clf.final_estimator = Killed(**clf.final_estimator.get_params(deep=False))
    clf.fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), make().fit(X, y).predict_proba(X))
    print("same")
"""


@pytest.mark.parametrize("method", [pytest.param("mislas", marks=pytest.mark.slow), "balms"])
def test_a_second_stage_that_was_killed_ends_with_the_same_bits(method, tmp_path):
    script = tmp_path / "fit.py"
    script.write_text(textwrap.dedent(KILLED))

    def run(then):
        command = [sys.executable, str(script), method, str(tmp_path / "folder"), then]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    assert run("kill").returncode == -signal.SIGKILL
    again = run("finish")
    assert again.stdout == "same\n", again.stderr


def test_ctrl_c(images):
    class Interrupted(OPeNClassifier):
        def run_single_epoch(self, iterator, training, *args, **kwargs):
            super().run_single_epoch(iterator, training, *args, **kwargs)
            if training and len(self.history) == 2:
                signal.raise_signal(signal.SIGINT)

    clf = make()
    clf.final_estimator = Interrupted(**clf.final_estimator.get_params(deep=False))
    assert clf.fit(*images).interrupted_
    clf = make()
    clf.estimator = Interrupted(**clf.estimator.get_params(deep=False))
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*images)
    assert not make().fit(*images).interrupted_


# --- an estimator of scikit-learn ---


@pytest.mark.filterwarnings("ignore")  # the checks feed odd data on purpose
@estimator_checks.parametrize_with_checks(
    [
        DecoupledClassifier(
            OPeNClassifier(
                resampler=None, max_epochs=20, batch_size=32, lr=0.05, random_state=0, verbose=0
            ),
            OPeNClassifier(delta=0, start_epoch=0, max_epochs=5, lr=0.05, verbose=0),
        )
    ]
)
def test_scikit_learn(estimator, check):
    check(estimator)


def test_parameters_are_kept_as_they_were_given(images):
    clf = make(weight_scaling=True, tau=0.3)
    twin = clone(clf)
    assert twin.get_params(deep=False).keys() == clf.get_params(deep=False).keys()
    assert twin.get_params()["final_estimator__delta"] == 0
    assert "weight_scaling=True" in repr(clf)
    before = clf.get_params()
    clf.fit(*images)
    assert {k: v for k, v in clf.get_params().items() if "estimator" not in k} == {
        k: v for k, v in before.items() if "estimator" not in k
    }
    assert not hasattr(clf.estimator, "module_")
    assert not hasattr(clf.final_estimator, "module_")
    assert clf.estimator.get_params()["checkpoint"] is None


def test_before_fit(images):
    clf = make()
    for ask in (clf.predict, clf.predict_proba, clf.to_torch):
        with pytest.raises(NotFittedError):
            ask(*([images[0]] if ask != clf.to_torch else []))
    assert not hasattr(clf, "classes_")
    with pytest.raises(NotFittedError):
        clf.save("nowhere")


def test_pickles_and_scorers(images):
    clf = make(weight_scaling=True).fit(*images)
    twin = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(twin.predict_proba(images[0]), clf.predict_proba(images[0]))
    assert clf.scale_.shape == (3,)
    assert clf.score(*images) == np.mean(clf.predict(images[0]) == images[1])


def test_corrections_of_the_prior(images):
    """That of the first stage is not made once more; the second one's own is."""
    clf = make().set_params(estimator__logit_adjustment=1.0).fit(*images)
    assert clf.estimator_.logit_adjustment == 0
    np.testing.assert_array_equal(
        clf.predict_proba(images[0]), make().fit(*images).predict_proba(images[0])
    )
    weak = make(final={"logit_adjustment": 0.5}).fit(*images)
    assert weak.estimator_.logit_adjustment == 0.5
    alone = make().set_params(
        estimator__logit_adjustment=1.0, final_estimator=None, head="kept", tau=0.5
    )
    assert alone.fit(*images).estimator_.logit_adjustment == 1.0


COSINE = {"estimator__module": SmallCNN, "estimator__module__head": "cosine"}


@pytest.mark.parametrize(
    ("params", "kind", "said"),
    [
        ({"estimator": None}, TypeError, "is no first stage"),
        ({"estimator": FrozenEstimator(OPeNClassifier())}, NotFittedError, "not fitted"),
        ({"final_estimator": "crt"}, TypeError, "trains no head"),
        ({"head": "new"}, ValueError, "head='new' is unknown"),
        ({"final_estimator": None}, ValueError, "Pass an OPeNClassifier that trains it"),
        ({"tau": "x"}, ValueError, "tau='x': pass a number"),
        ({"final_estimator__module": SmallCNN}, ValueError, "that of the first. Leave them out"),
        ({**COSINE, "weight_scaling": True}, ValueError, "linear head"),
        ({**COSINE, "tau": 0.5}, ValueError, "linear head"),
        ({"weight_scaling": "yes"}, ValueError, "weight_scaling='yes'"),
    ],
)  # fmt: skip
def test_what_is_refused(images, params, kind, said):
    clf = make().set_params(**{n: v for n, v in params.items() if "__" not in n})
    clf.set_params(**{n: v for n, v in params.items() if "__" in n})
    with pytest.raises(kind, match=said):
        clf.fit(*images)


def test_it_learns_the_small_classes():
    digits = load_digits()
    X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=50)
    settings = {"max_epochs": 20, "random_state": 0, "verbose": 0, "batch_size": 64}
    plain = make_classifier(None, "erm", **settings).fit(X, y)
    score = balanced_accuracy_score(digits.target, plain.predict(digits.images))
    for method in ("crt", "lws", "tau_norm", "balms"):
        clf = make_classifier(None, method, **settings).set_params(estimator=FrozenEstimator(plain))
        found = balanced_accuracy_score(digits.target, clf.fit(X, y).predict(digits.images))
        assert found > score, method


# --- what memory and seeds depend on ---


@pytest.mark.parametrize("seed", [3, 1000])  # Python keeps small integers as one object
def test_memory_and_pickles_do_not_change_what_is_drawn(images, tmp_path, seed):
    clf = make_classifier(
        None, "crt", max_epochs=2, batch_size=16, verbose=0, random_state=seed, memory=tmp_path
    )
    first = clone(clf).fit(*images)
    for twin in (clone(clf), pickle.loads(pickle.dumps(clf)), clone(clf).set_params(memory=None)):
        same(twin.fit(*images), first)


class Halved(OPeNClassifier):
    """Another training under the same parameters."""

    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs) / 2


def test_memory_knows_the_class_and_what_predictions_depend_on(images, tmp_path):
    def fit(cls=OPeNClassifier, memory=tmp_path, **params):
        clf = make(cls, head="kept", tau=0.5, memory=memory)
        return clf.set_params(final_estimator=None, **params).fit(*images)

    plain = fit()
    for params in ({"cls": Halved}, {"estimator__logit_adjustment": 1.0}):
        found, expected = fit(**params), fit(**params, memory=None)
        assert type(found.estimator_) is type(expected.estimator_)
        proba = found.predict_proba(images[0])
        np.testing.assert_array_equal(proba, expected.predict_proba(images[0]))
        assert not np.array_equal(proba, plain.predict_proba(images[0]))


def test_memory_without_a_random_state_is_told_of(images, tmp_path):
    clf = make(memory=tmp_path).set_params(estimator__random_state=None)
    with pytest.warns(UserWarning, match="keeps nothing of a first stage"):
        clf.fit(*images)


def test_columns_are_compared(digits_lt):
    X, y = digits_lt
    frame = pd.DataFrame(X.reshape(len(X), -1)).rename(columns="pixel {}".format)
    first = OPeNClassifier(resampler=None, max_epochs=1, **SETTINGS).fit(frame, y)
    clf = make().set_params(estimator=FrozenEstimator(first))
    with pytest.raises(ValueError, match="Pass the same columns in the same order"):
        clf.fit(frame.iloc[:, ::-1], y)
    clf.fit(frame, y)


@pytest.mark.parametrize("first_norm", ["dar", "aux"])
def test_second_norm_layers_of_a_second_stage_end_with_it(images, first_norm, tmp_path):
    X, y = images
    noisy = {"delta": 0.5, "start_epoch": 0, "max_epochs": 2, **SETTINGS}
    first = OPeNClassifier(norm=first_norm, **noisy).fit(X, y)
    clf = DecoupledClassifier(FrozenEstimator(first), OPeNClassifier(norm="aux", **noisy))
    clf.fit(X, y)
    before, after = (c.module_.state_dict() for c in (first, clf.estimator_))
    assert {n for n in before if not torch.equal(before[n], after[n])} == {"fc.weight", "fc.bias"}
    clf.save(tmp_path / "clf.safetensors")
    loaded = DecoupledClassifier.load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_what_was_said_of_other_classes_is_forgotten(images, tmp_path):
    X, y = images
    first = OPeNClassifier(
        SmallCNN,
        module__num_classes=3,
        resampler=None,
        class_weight={0: 1.0, 1: 2.0, 2: 3.0},
        max_epochs=2,
        start_epoch=0,
        **SETTINGS,
    ).fit(X, y)
    clf = make().set_params(estimator=FrozenEstimator(first)).fit(X, np.arange(60) % 5)
    clf.save(tmp_path / "clf.safetensors")
    loaded = DecoupledClassifier.load(tmp_path / "clf.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    clf.estimator_.partial_fit(X, np.arange(60) % 5)
    clone(clf.estimator_).fit(X, np.arange(60) % 5)
    assert first.get_params()["module__num_classes"] == 3
    assert first.class_weight is not None


class EndsInSoftmax(nn.Sequential):
    """A network whose last layer is not linear."""

    def __init__(self, num_classes):
        super().__init__(nn.Flatten(), nn.Linear(3 * 64, num_classes), nn.Softmax(1))


@pytest.mark.parametrize(
    "params",
    [
        {"tau": "x"},
        {"final_estimator__module": SmallCNN},
        {"final_estimator__lr_decay": -1},
        {"final_estimator__max_epochs": "x"},
        {"final_estimator__criterion": "focall"},
        {**COSINE, "weight_scaling": True},
        {**COSINE, "tau": 0.5},
        {"estimator__module": EndsInSoftmax},
    ],
)
def test_mistakes_about_the_second_stage_are_found_before_the_first(images, counted, params):
    with pytest.raises(ValueError):  # noqa: PT011 (each says its own)
        make(counted).set_params(**params).fit(*images)
    assert counted.epochs_run == 0


def test_groups_for_rows_held_out(images):
    X, y = images
    groups = np.arange(60) // 3
    split = ValidSplit(GroupKFold(4))
    clf = make(final={"train_split": split}).set_params(estimator__train_split=split)
    clf.fit(X, y, groups=groups)
    assert "valid_loss" in clf.first_stage_.history[-1]
    assert "valid_loss" in clf.final_estimator_.history[-1]
    with pytest.raises(TypeError, match="nothing here takes it"):
        make().set_params(estimator=FrozenEstimator(clf.first_stage_)).fit(X, y, groups=groups)
