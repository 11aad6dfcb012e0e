"""What is "auto" reads as a number once training rows are known, and is a word in parameters."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

from sklearn_open import OPeNClassifier
from sklearn_open._training import settled
from sklearn_open.callbacks import StepSchedule
from sklearn_open.decoupling import DecoupledClassifier, MetaSampledClassifier
from sklearn_open.exceptions import CheckpointError
from sklearn_open.inspection import training_curves
from sklearn_open.over_sampling import M2mOverSampler

AUTO = {"max_epochs": "auto", "batch_size": "auto", "warmup_epochs": "auto"}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Sixty rows are trained on for 6 epochs of 3 steps."""
    monkeypatch.setattr(settled, "auto_batch_size", lambda n_rows: n_rows // 3)
    monkeypatch.setattr(settled, "auto_epochs", lambda n_rows, batch_size: n_rows // 10)
    monkeypatch.setattr(settled, "auto_warmup", lambda n_rows, batch_size, epochs: epochs // 3)


def make(cls=OPeNClassifier, **params):
    return cls(**{**AUTO, "random_state": 0, "verbose": 0, **params})


def numbers(clf):
    return clf.max_epochs, clf.batch_size, clf.warmup_epochs


def assert_same_bits(one, other, X):
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_it_reads_as_a_number_once_fitted_and_is_a_word_among_parameters(images):
    clf = make()
    assert numbers(clf) == ("auto", "auto", "auto")
    clf.fit(*images)
    assert numbers(clf) == (6, 20, 2) == (clf.max_epochs_, clf.batch_size_, clf.warmup_epochs_)
    assert len(clf.history) == 6
    params = clf.get_params()
    assert {name: params[name] for name in AUTO} == AUTO
    assert numbers(clone(clf)) == ("auto", "auto", "auto")
    assert "max_epochs='auto'" in repr(clf)
    assert numbers(pickle.loads(pickle.dumps(clf))) == (6, 20, 2)


@pytest.mark.parametrize("name", AUTO)
def test_each_on_its_own(images, name):
    given = {"max_epochs": 4, "batch_size": 30, "warmup_epochs": 0.5}
    clf = make(**{**given, name: "auto"}).fit(*images)
    found = {"max_epochs": 6, "batch_size": 20, "warmup_epochs": 1}[name]
    assert getattr(clf, name) == getattr(clf, f"{name}_") == found
    for other in given.keys() - {name}:
        assert getattr(clf, other) == given[other]
    assert clf.warmup_epochs_ == {"max_epochs": 3, "batch_size": 2, "warmup_epochs": 1}[name]


def test_it_trains_what_the_numbers_train(images):
    by_hand = make(max_epochs=6, batch_size=20, warmup_epochs=2).fit(*images)
    assert_same_bits(make().fit(*images), by_hand, images[0])


def test_rows_held_out_do_not_count(images):
    clf = make(train_split=ValidSplit(2, stratified=True)).fit(*images)
    assert numbers(clf) == (3, 10, 1)
    by_hand = clone(clf).set_params(max_epochs=3, batch_size=10, warmup_epochs=1).fit(*images)
    assert_same_bits(clf, by_hand, images[0])


def test_rows_are_split_once(images):
    calls = []

    def split(dataset, y):
        calls.append(len(dataset))
        return ValidSplit(2)(dataset, y)

    make(train_split=split).fit(*images)
    assert calls == [60]


@pytest.mark.parametrize(("size", "found"), [(7, 7), (-1, 60)])
def test_batches_of_a_loader_s_own_size(images, monkeypatch, size, found):
    seen = []
    monkeypatch.setattr(settled, "auto_epochs", lambda *rows: seen.append(rows) or 1)
    clf = make(iterator_train__batch_size=size).fit(*images)
    assert clf.batch_size_ == clf.planner_.batch_size == found
    assert seen == [(60, found)]


def test_parts_keep_what_the_first_has_found(images):
    X, y = images
    clf = make(start_epoch=0, lr_milestones=(90,)).partial_fit(X, y, classes=[0, 1, 2])
    clf.partial_fit(X[:30], y[:30])
    assert numbers(clf) == (6, 20, 2)
    assert len(clf.history) == 12
    clf.set_params(max_epochs="auto")  # asked for anew
    assert clf.max_epochs == "auto"
    clf.partial_fit(X[:30], y[:30])
    assert (clf.max_epochs, clf.batch_size) == (3, 20)


def test_a_warm_start_keeps_it_and_a_new_fit_does_not(images):
    X, y = images
    clf = make(warm_start=True, start_epoch=0, lr_milestones=(90,)).fit(X, y)
    assert numbers(clf.fit(X[:30], y[:30])) == (6, 20, 2)
    assert numbers(clf.set_params(warm_start=False).fit(X[:30], y[:30])) == (3, 10, 1)


def test_a_refused_fit_changes_nothing(images):
    clf = make().fit(*images)
    with pytest.raises(ValueError, match="NaN"):
        clf.fit(np.full((30, 3, 8, 8), np.nan), images[1][:30])
    assert numbers(clf) == (6, 20, 2)


class Sees(Callback):
    """What callbacks read."""

    def on_train_begin(self, net, **kwargs):
        self.seen_ = numbers(net)


def test_callbacks_read_numbers_from_the_beginning(images):
    clf = make(callbacks=[("sees", Sees())]).fit(*images)
    assert dict(clf.callbacks_)["sees"].seen_ == (6, 20, 2)
    assert clf.history[:2, "lr"] == [0.05, 0.1]


def test_the_schedule_asks_the_net_only_for_auto(images):
    clf = make(callbacks__lr_schedule=StepSchedule(warmup_epochs=3)).fit(*images)
    assert clf.history[0, "lr"] == pytest.approx(0.1 / 3)


def test_what_was_found_is_printed_once(images, capsys):
    make(verbose=1).fit(*images)
    first, *others = capsys.readouterr().out.splitlines()
    line = (
        "6 epochs of 3 steps, 2 of them warm-up (batch_size='auto', max_epochs='auto', "
        "warmup_epochs='auto': 60 rows in batches of 20)"
    )
    assert first == line
    assert "epochs of" not in "".join(others)
    make(verbose=1, max_epochs=2, batch_size=20, warmup_epochs=0).fit(*images)
    assert "epochs of" not in capsys.readouterr().out


def test_each_fold_of_a_search_goes_by_its_rows(images):
    search = GridSearchCV(make(), {"batch_size": ["auto", 30]}, cv=2, error_score="raise")
    search.fit(*images)
    assert search.best_estimator_.max_epochs_ == 6
    assert search.best_params_["batch_size"] in ("auto", 30)


@pytest.mark.parametrize("name", AUTO)
@pytest.mark.parametrize("value", ["Auto", -3, 1.5])
def test_other_words_and_numbers_are_refused(images, name, value):
    with pytest.raises(ValueError, match=rf"{name}={value!r}.* 'auto'"):
        make(**{name: value}).fit(*images)


def test_no_epoch_and_an_unfitted_net(images):
    assert len(make(max_epochs=0).fit(*images).history) == 0
    net = make(module="SmallCNN", module__num_classes=3, module__in_channels=3).initialize()
    assert net.max_epochs == "auto"
    with pytest.warns(UserWarning, match="never fitted"):
        assert net.predict_proba(np.zeros((5, 3, 8, 8), dtype=np.float32)).shape == (5, 3)
    assert net.batch_size == "auto"


# --- files ---


def test_files_remember(images, tmp_path):
    make().fit(*images).save(tmp_path / "clf")
    loaded = OPeNClassifier.load(tmp_path / "clf", verbose=0)
    assert numbers(loaded) == (6, 20, 2)
    assert loaded.get_params()["max_epochs"] == "auto"
    assert training_curves(loaded).start_epoch == 4
    loaded.set_params(start_epoch=0, lr_milestones=(90,)).partial_fit(
        images[0][:30], images[1][:30]
    )
    assert numbers(loaded) == (6, 20, 2)


def test_a_checkpoint_is_of_the_numbers(images, tmp_path, monkeypatch):
    whole = make(checkpoint=tmp_path).fit(*images)
    by_hand = make(max_epochs=6, batch_size=20, warmup_epochs=2, checkpoint=tmp_path).fit(*images)
    assert_same_bits(whole, by_hand, images[0])
    monkeypatch.setattr(settled, "auto_epochs", lambda *rows: 9)  # another version's rule
    with pytest.raises(CheckpointError, match="max_epochs was 6 and is 9"):
        make(checkpoint=tmp_path).fit(*images)


def test_shared_epochs_are_of_the_numbers(images, tmp_path, monkeypatch):
    first = make(memory=tmp_path).fit(*images)
    assert_same_bits(make(max_epochs=6, memory=tmp_path).fit(*images), first, images[0])
    kept = list(tmp_path.glob("joblib/**/output.pkl"))
    assert len(kept) == 1
    monkeypatch.setattr(settled, "auto_epochs", lambda *rows: 9)
    make(memory=tmp_path).fit(*images)
    assert len(list(tmp_path.glob("joblib/**/output.pkl"))) == 2


# --- more than one training ---


@pytest.mark.parametrize("final", [OPeNClassifier, MetaSampledClassifier])
def test_both_stages_find_their_own(images, final):
    params = {"resampler": None, "start_epoch": 0}
    stages = make(resampler=None), make(final, **{**params, "random_state": None})
    clf = DecoupledClassifier(*stages).fit(*images)
    assert numbers(clf.first_stage_) == numbers(clf.final_estimator_) == (6, 20, 2)
    assert numbers(clf.estimator_) == (6, 20, 2)
    assert len(clf.final_estimator_.history) == 6


def test_the_teacher_of_m2m_trains_as_long(images):
    clf = make(resampler=M2mOverSampler, resampler__threshold=0.4).fit(*images)
    by_hand = clone(clf).set_params(max_epochs=6, batch_size=20, warmup_epochs=2).fit(*images)
    assert_same_bits(clf, by_hand, images[0])
