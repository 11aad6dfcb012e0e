"""What every method keeps, found by `list_methods`: one estimator, one contract."""

import copy
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from sklearn_open import OPeNClassifier
from sklearn_open._recipes._methods import METHODS, Method
from sklearn_open.decoupling import DecoupledClassifier
from sklearn_open.recipes import Setting, list_methods, make_classifier, method_parameters

SETTINGS = {"max_epochs": 4, "start_epoch": 2, "batch_size": 32, "random_state": 0, "verbose": 0}
# Those that train plainly, by cross-entropy, until `start_epoch`.
ONE_BASE = ["erm", "drs", "open", "open_adjusted", "open_all", "open_aux", "open_standard", "drw"]
ONE_BASE += ["deferred_balanced_softmax", "logit_adjusted", "m2m"]
# Others that have theirs in common.
PAIRS = [{"mixup", "mixup_drs"}, {"ldam_drw", "m2m_ldam"}]
TEACHERS = ["m2m", "m2m_ldam"]


def make(name, **params):
    clf = make_classifier(None, name, **{**SETTINGS, **params})
    if getattr(clf, "final_estimator", None) is not None:
        clf.set_params(final_estimator__max_epochs=4, final_estimator__batch_size=16)
    return clf


def network(clf):
    return getattr(clf, "estimator_", clf).module_


def assert_same(one, other):
    states = network(one).state_dict(), network(other).state_dict()
    torch.testing.assert_close(*states, rtol=0, atol=0)


def with_dying_stage(clf, stage):
    """Return the same, but that one of its trainings dies."""
    if isinstance(clf, OPeNClassifier):
        return Dies(**clf.get_params(deep=False))
    return clf.set_params(**{stage: dying(getattr(clf, stage))})


def dying(estimator):
    kind = type("Dying", (_Dies, type(estimator)), {})
    return kind(**estimator.get_params(deep=False))


class Stopped(Exception):
    """A training that dies."""


class _Dies:
    """What dies in its fourth epoch."""

    def run_single_epoch(self, iterator, training, *args, **kwargs):
        if training and len(self.history) == 4:
            raise Stopped
        super().run_single_epoch(iterator, training, *args, **kwargs)


class Dies(_Dies, OPeNClassifier):
    """A classifier that does."""


@pytest.mark.parametrize("name", list_methods())
class TestContract:
    def test_fit_clone_and_pickle(self, name, images):
        X, y = images
        y = np.array([f"class {label}" for label in y])
        clf = make(name).fit(X, y)
        proba = clf.predict_proba(X)
        np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-5)
        assert set(clf.predict(X)) <= set(y)
        assert clf.class_count_.tolist() == np.unique(y, return_counts=True)[1].tolist()
        for twin in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf), clone(clf).fit(X, y)):
            np.testing.assert_array_equal(twin.predict_proba(X), proba)

    def test_a_file_needs_nothing_passed_again(self, name, images, tmp_path):
        clf = make(name).fit(*images)
        clf.save(tmp_path / "clf.safetensors")
        loaded = type(clf).load(tmp_path / "clf.safetensors")
        np.testing.assert_array_equal(loaded.predict_proba(images[0]), clf.predict_proba(images[0]))
        assert loaded.class_count_.tolist() == clf.class_count_.tolist()
        pixels = torch.from_numpy(images[0]).float()
        exported = clf.to_torch()(pixels).numpy()
        np.testing.assert_allclose(exported, clf.predict_proba(images[0]), atol=1e-5)

    def test_one_that_died_ends_with_the_same_bits(self, name, images, tmp_path):
        whole = make(name).fit(*images)
        for stage in ("estimator", "final_estimator"):
            clf = make(name, checkpoint=tmp_path / stage)
            if getattr(clf, stage, None) is None and stage == "final_estimator":
                continue
            with pytest.raises(Stopped):
                with_dying_stage(clf, stage).fit(*images)
            assert_same(make(name, checkpoint=tmp_path / stage).fit(*images), whole)

    def test_shared_epochs_have_the_same_bits(self, name, images, tmp_path):
        whole = make(name).fit(*images)
        for _ in range(2):
            assert_same(make(name, memory=tmp_path).fit(*images), whole)

    def test_classes_in_another_order_and_missing_ones(self, name, images):
        X, y = images
        names = np.array(["many", "some", "few"])
        order = ["few", "none", "many", "some"]
        clf = make(name, classes=order).fit(X, names[y])
        assert clf.classes_.tolist() == order
        assert clf.class_count_.tolist() == [6, 0, 36, 18]
        assert np.isfinite(clf.predict_proba(X)).all()
        if isinstance(clf, DecoupledClassifier):
            return  # which has no partial_fit
        part = make(name, start_epoch=0, max_epochs=1, lr_milestones=(3,))
        part.partial_fit(X[y < 2], names[y[y < 2]], classes=names)  # a class is missing
        part.partial_fit(X, names[y])
        assert part.class_count_.tolist() == [72, 36, 6]

    @pytest.mark.parametrize("n_classes", [2, 100])
    def test_few_classes_and_many(self, name, n_classes):
        rng = np.random.RandomState(0)
        y = np.concatenate([np.arange(n_classes), rng.randint(0, max(2, n_classes // 4), 150)])
        X = rng.randint(0, 256, (len(y), 8, 8), dtype=np.uint8)
        clf = make(name, max_epochs=2, start_epoch=1).fit(X, y)
        assert clf.predict_proba(X).shape == (len(y), n_classes)

    def test_it_goes_with_mixup_norms_and_precision(self, name, images):
        params = {"mixup": 0.4, "norm": "standard", "precision": "bf16"}
        clf = make(name, **params).fit(*images)
        assert np.isfinite(clf.predict_proba(images[0])).all()


class Counter(OPeNClassifier):
    """Counts the epochs that are run."""

    epochs_run = 0

    def run_single_epoch(self, iterator, training, *args, **kwargs):
        Counter.epochs_run += training
        super().run_single_epoch(iterator, training, *args, **kwargs)


def test_a_search_over_all_shares_the_base_of_those_that_have_one(images, tmp_path):
    names = list_methods(1)
    grid = [{key: [value] for key, value in method_parameters(m).items()} for m in names]
    cv = StratifiedKFold(2, shuffle=True, random_state=0)
    kept = GridSearchCV(
        Counter(memory=tmp_path, **SETTINGS), grid, cv=cv, error_score="raise", refit=False
    )
    kept.fit(*images)
    with_memory, Counter.epochs_run = Counter.epochs_run, 0
    alone = GridSearchCV(Counter(**SETTINGS), grid, cv=cv, error_score="raise", refit=False)
    alone.fit(*images)
    for key in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(kept.cv_results_[key], alone.cv_results_[key])
    own = [m for m in names if method_parameters(m).get("start_epoch", 1)]
    own = [m for m in own if m not in ONE_BASE and not any(m in pair for pair in PAIRS)]
    kept = len(list(tmp_path.glob("joblib/**/output.pkl")))
    assert kept == 2 * (1 + len(PAIRS) + len(own) + 1)  # one teacher
    # Of epochs before `start_epoch` each base is trained once, for a teacher too; and the rest of
    # the teacher's once.
    saved = 2 * (len(ONE_BASE) - 1 + len(PAIRS) + 1) + 4 * (len(TEACHERS) - 1)
    assert with_memory == Counter.epochs_run - 2 * saved


def test_methods_of_one_base_train_it_once_per_fold(images, tmp_path):
    grid = [{key: [value] for key, value in method_parameters(m).items()} for m in ONE_BASE]
    cv = StratifiedKFold(2, shuffle=True, random_state=0)
    GridSearchCV(OPeNClassifier(memory=tmp_path, **SETTINGS), grid, cv=cv, refit=False).fit(*images)
    found = len(list(tmp_path.glob("joblib/**/output.pkl")))
    assert found == 2 * 2  # the base, and the teacher of M2m


@pytest.mark.parametrize("names", [["crt", "lws", "tau_norm", "balms"]])
def test_two_stages_share_the_first_and_its_base(names, images, tmp_path):
    for name in names:
        assert_same(make(name, memory=tmp_path).fit(*images), make(name).fit(*images))
    make("drs", memory=tmp_path).fit(*images)
    assert len(list(tmp_path.glob("joblib/**/output.pkl"))) == 2  # the base, and the first stage


KILLED = """
    import os, signal, sys
    import numpy as np
    from sklearn_open import OPeNClassifier
    from sklearn_open.recipes import method_parameters

    rng = np.random.RandomState(0)
    X, y = rng.randint(0, 256, (60, 8, 8), dtype=np.uint8), np.repeat([0, 1, 2], [36, 18, 6])
    settings = dict(max_epochs=4, start_epoch=2, batch_size=32, random_state=0, verbose=0)

    class Killed(OPeNClassifier):
        def run_single_epoch(self, iterator, training, *args, **kwargs):
            super().run_single_epoch(iterator, training, *args, **kwargs)
            if sys.argv[3] == "kill" and len(self.history) == 4:
                os.kill(os.getpid(), signal.SIGKILL)

    name, folder, _ = sys.argv[1:]
    params = {**settings, **method_parameters(name)}
    clf = Killed(checkpoint=folder, **params).fit(X, y)
    whole = OPeNClassifier(**params).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))
    print("same")
"""


def test_one_that_was_killed_ends_with_the_same_bits(tmp_path):
    name = "open_balanced_softmax"
    script = tmp_path / "fit.py"
    script.write_text(textwrap.dedent(KILLED))
    env = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run(then):
        command = [sys.executable, str(script), name, str(tmp_path / "folder"), then]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)

    assert run("kill").returncode == -9
    again = run("finish")
    assert again.stdout == "same\n", again.stderr


def test_it_learns_the_small_classes():
    """On digits of a long tail, what corrects the prior beats plain training by far."""
    from sklearn_open.datasets import make_long_tailed

    digits = load_digits()
    X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=50)
    test, labels = digits.images, digits.target
    settings = {"max_epochs": 20, "start_epoch": 0.6, "lr_decay": 0.1, "random_state": 0}

    def score(name):
        params = {**settings, **method_parameters(name)}
        return OPeNClassifier(verbose=0, **params).fit(X, y).score(test, labels)

    plain = score("erm")
    for name in ("balanced_softmax", "logit_adjusted", "lade", "drw", "open_balanced_softmax"):
        assert score(name) > plain + 0.02, name


def test_a_new_one_needs_settings_with_sources(monkeypatch, images, tmp_path):
    settings = (Setting("criterion", "focal", "a throw-away method"), Setting("mixup", 0.2, "it"))
    monkeypatch.setitem(METHODS, "thrown_away", Method("thrown_away", "one more", settings))
    contract = TestContract()
    contract.test_a_file_needs_nothing_passed_again("thrown_away", images, tmp_path)
    contract.test_one_that_died_ends_with_the_same_bits("thrown_away", images, tmp_path / "c")
    assert "thrown_away" in list_methods()
