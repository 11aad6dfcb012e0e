"""Callbacks that predict on the batch they are handed get what training and validation got."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score
from skorch.callbacks import BatchScoring, Callback
from skorch.dataset import ValidSplit

from sklearn_open import OPeNClassifier
from sklearn_open._training.fed import FedRows


def make(**params):
    settings = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0}
    settings["train_split"] = ValidSplit(3)
    return OPeNClassifier(**{**settings, **params}, verbose=0)


def scored(images, **scoring):
    callback = BatchScoring("accuracy", on_train=False, name="by_batch", **scoring)
    return (
        make(callbacks=[callback]).fit(*images).history[:, ("by_batch", "valid_acc", "train_loss")]
    )


def test_scores_without_caching_are_those_with(images):
    assert scored(images, use_caching=False) == scored(images, use_caching=True)


class Predicts(Callback):
    """Predicts on the rows of each batch held out, in a form of one's choice."""

    def __init__(self, form):
        self.form = form

    def on_train_begin(self, net, **kwargs):
        self.scores_ = []

    def on_batch_end(self, net, batch, training, y_pred, **kwargs):
        if not training:
            X, y = batch
            expected = net.classes_[y_pred.argmax(1).cpu().numpy()]
            n = len(self.form(X))
            np.testing.assert_array_equal(net.predict(self.form(X)), expected[:n])
            self.scores_.append(accuracy_score(y, net.predict(X)))
            assert net.score(X, y) == self.scores_[-1]


FORMS = {
    "as it is": lambda X: X,
    "a part": lambda X: X[:5],
    "a copy": lambda X: X.clone(),
    "detached": lambda X: X.detach().cpu(),
    "an array": lambda X: X.numpy(),
    "a part of an array": lambda X: np.asarray(X)[:7],
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(images, form):
    clf = make(callbacks=[Predicts(FORMS[form])])
    clf.fit(*images)
    assert dict(clf.callbacks_)["Predicts"].scores_


def test_names_for_labels(images):
    X, y = images
    names = np.array(["c", "b", "a"])[y]
    clf = make(callbacks=[Predicts(lambda X: X)]).fit(X, names)
    assert dict(clf.callbacks_)["Predicts"].scores_


def test_the_network_gets_plain_tensors(images):
    kinds = set()

    class Watched(OPeNClassifier):
        def infer(self, x, **fit_params):
            kinds.add(type(x))
            return super().infer(x, **fit_params)

    Watched(
        max_epochs=1, callbacks=[Predicts(lambda X: X)], train_split=ValidSplit(3), verbose=0
    ).fit(*images)
    assert kinds == {torch.Tensor}


class Keeps(Callback):
    """Copies and pickles the estimator while it looks at a batch, and keeps rows for later."""

    def on_batch_begin(self, net, batch, training, **kwargs):
        self.rows_ = batch[0]
        copy.deepcopy(net)
        pickle.dumps(net)


def test_rows_that_were_kept_are_told_afterwards(images):
    clf = make(callbacks=[("keeps", Keeps())])
    clf.fit(*images)
    rows = dict(clf.callbacks_)["keeps"].rows_
    assert isinstance(rows, FedRows)
    assert clf.batch_in_work_ is None
    clf.module_.eval()
    expected = clf.infer(rows.as_subclass(torch.Tensor)).softmax(1).detach().numpy()
    np.testing.assert_allclose(clf.predict_proba(rows), expected, atol=1e-6)


class Undoes(Callback):
    """Predicts on rows whose normalisation it has undone: these are pixels again."""

    n_batches_ = 0

    def on_batch_end(self, net, batch, training, **kwargs):
        if not training:
            transform = net.transform_
            mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (transform.mean, transform.std))
            raw = (batch[0] * std.float() + mean.float()) * 255
            expected = net.predict_proba(raw.numpy().round().astype(np.uint8))
            np.testing.assert_allclose(net.predict_proba(raw), expected, atol=1e-3)
            self.n_batches_ += 1


def test_values_that_were_computed_are_not_fed_rows(images):
    clf = make(callbacks=[Undoes()]).fit(*images)
    assert dict(clf.callbacks_)["Undoes"].n_batches_


OTHER_FORMS = {
    "a copied array": lambda X: X.numpy().copy(),
    "double precision": lambda X: X.numpy().astype(float),
    "a list": list,
    "a copied tensor": lambda X: X.detach().clone().as_subclass(torch.Tensor),
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_copies_are_known_by_their_numbers(images, form):
    clf = make(callbacks=[Predicts(OTHER_FORMS[form])]).fit(*images)
    assert dict(clf.callbacks_)["Predicts"].scores_
