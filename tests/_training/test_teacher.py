"""The teacher that an estimator trains itself."""

import os
import signal

import numpy as np
import pytest
import torch

from sklearn_open import OPeNClassifier
from sklearn_open._training import teacher as module
from sklearn_open.backbones import CosineClassifier, SmallCNN
from sklearn_open.over_sampling import M2mOverSampler

SETTINGS = {"max_epochs": 4, "start_epoch": 2, "batch_size": 16, "random_state": 0, "verbose": 0}


def same(one, other):
    torch.testing.assert_close(one.module_.state_dict(), other.module_.state_dict(), rtol=0, atol=0)


def test_it_is_the_plain_classifier(images):
    erm = OPeNClassifier(resampler=None, **SETTINGS).fit(*images)
    given = OPeNClassifier(resampler=M2mOverSampler(erm, threshold=0.4), **SETTINGS)
    own = OPeNClassifier(resampler=M2mOverSampler(threshold=0.4), **SETTINGS)
    same(own.fit(*images), given.fit(*images))
    assert own.history[:, "train_loss"] == given.history[:, "train_loss"]


def test_memory_trains_the_epochs_in_common_once(images, tmp_path, counted):
    def fit(**params):
        before = counted.epochs_run
        clf = counted(resampler=M2mOverSampler, memory=tmp_path, **SETTINGS, **params)
        clf.fit(*images)
        return clf, counted.epochs_run - before

    first, n_first = fit()
    assert n_first == 2 + 2 + 2  # the base, the rest of the teacher's, the rest of its own
    _, n_second = fit(resampler__beta=0.5)
    assert n_second == 2
    erm = counted(resampler=None, memory=tmp_path, **SETTINGS).fit(*images)
    assert counted.epochs_run == 6 + 2 + 2
    alone = OPeNClassifier(resampler=M2mOverSampler, **SETTINGS).fit(*images)
    same(first, alone)
    same(erm, OPeNClassifier(resampler=None, **SETTINGS).fit(*images))


def test_a_checkpoint_keeps_it(images, tmp_path, counted):
    class_ = counted
    clf = class_(resampler=M2mOverSampler, checkpoint=tmp_path, **SETTINGS).fit(*images)
    assert class_.epochs_run == 8
    again = class_(resampler=M2mOverSampler, checkpoint=tmp_path, **SETTINGS).fit(*images)
    assert class_.epochs_run == 8
    same(clf, again)
    assert (tmp_path / "teacher" / "epoch-000004.ckpt").exists()


def test_no_random_state(images, tmp_path):
    settings = {**SETTINGS, "random_state": None}
    clf = OPeNClassifier(resampler=M2mOverSampler, checkpoint=tmp_path, **settings).fit(*images)
    again = OPeNClassifier(resampler=M2mOverSampler, checkpoint=tmp_path, **settings).fit(*images)
    same(clf, again)


def test_what_is_about_imbalance_is_left_out(images, monkeypatch):
    kept = []
    twin = module._twin

    def keeping(net):
        kept.append(twin(net))
        return kept[-1]

    monkeypatch.setattr(module, "_twin", keeping)
    clf = OPeNClassifier(
        SmallCNN,
        module__head="cosine",
        module__scale="ldam",
        resampler=M2mOverSampler,
        resampler__threshold=0.8,
        criterion="ldam",
        criterion__max_margin=0.3,
        class_weight="effective",
        class_weight__beta=0.99,
        mixup=0.3,
        averaging="swa",
        logit_adjustment=0.5,
        **SETTINGS,
    ).fit(*images)
    (teacher,) = kept
    assert isinstance(teacher.module_.fc, torch.nn.Linear)
    assert isinstance(clf.module_.fc, CosineClassifier)
    assert type(teacher.criterion_) is torch.nn.CrossEntropyLoss
    params = teacher.get_params(deep=False)
    assert not [name for name in params if name.startswith(module.OF_PARTS)]
    assert all(params[name] == value for name, value in module.PLAIN.items())
    assert params["max_epochs"] == 4
    assert len(teacher.history) == 4


def test_labels_that_are_text_missing_classes_and_parts(images):
    X, y = images
    names = np.array(["many", "some", "few"])
    order = ["few", "none", "many", "some"]
    clf = OPeNClassifier(resampler=M2mOverSampler(threshold=0.3), classes=order, **SETTINGS)
    clf.fit(X, names[y])
    assert np.isfinite(clf.predict_proba(X)).all()
    part = clf.set_params(start_epoch=0, max_epochs=1, warm_start=True)
    part.partial_fit(X[y < 2], names[y[y < 2]])
    part.partial_fit(X[y == 0], names[y[y == 0]])  # of one class nothing is made


def test_its_training_is_announced(images, capsys):
    OPeNClassifier(resampler=M2mOverSampler, **{**SETTINGS, "verbose": 1}).fit(*images)
    shown = capsys.readouterr().out
    assert shown.startswith("The teacher, by plain training:\n")
    assert shown.count("train_loss") == 2


def test_an_interrupted_teacher_is_none(images):
    class Interrupted(OPeNClassifier):
        def run_single_epoch(self, iterator, training, *args, **kwargs):
            if self.resampler_ is None and len(self.history) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            super().run_single_epoch(iterator, training, *args, **kwargs)

    clf = Interrupted(resampler=M2mOverSampler, **SETTINGS).fit(*images)
    assert clf.interrupted_
    assert len(clf.history) == 0


def test_it_goes_on_where_the_classifier_does(images, counted):
    clf = counted(
        resampler=M2mOverSampler,
        **{**SETTINGS, "max_epochs": 1, "start_epoch": 1, "lr_milestones": (3,)},
    )
    for n in range(3):
        clf.partial_fit(*images)
        # Not before there is a rebalanced epoch; then as many epochs as its own, and one more each.
        assert counted.epochs_run == 2 * n + 1
    assert len(clf.own_teacher_.history) == 2


def test_a_teacher_of_no_use_is_not_trained(images, counted):
    counted(resampler=M2mOverSampler, **{**SETTINGS, "start_epoch": 4}).fit(*images)
    assert counted.epochs_run == 4


class Cosine(torch.nn.Module):
    """A network of one's own that can never be sure."""

    def __init__(self, num_classes):
        super().__init__()
        self.body = torch.nn.Flatten()
        self.head = CosineClassifier(3 * 64, num_classes, 1.0)

    def forward(self, x):
        return self.head(self.body(x))


def test_one_that_can_never_be_sure_is_refused_before_it_is_trained(images, counted):
    with pytest.raises(ValueError, match="no image would ever be accepted"):
        counted(Cosine, resampler=M2mOverSampler, **SETTINGS).fit(*images)
    assert counted.epochs_run == 0


def test_memory_knows_the_class(images, tmp_path):
    def fit(cls, memory=None):
        return cls(resampler=M2mOverSampler(threshold=0.3), memory=memory, **SETTINGS).fit(*images)

    fit(OPeNClassifier, tmp_path)
    same(fit(Halved, tmp_path).own_teacher_, fit(Halved).own_teacher_)


class Halved(OPeNClassifier):
    """Another training under the same parameters."""

    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs) / 2
