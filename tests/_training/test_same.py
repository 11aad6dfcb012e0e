"""Ranks that would train on other rows, parameters or numbers are told which, all of them."""

import numpy as np
import pytest
import torch
from skorch.callbacks import EpochScoring
from torch import nn
from torch.utils.data import Dataset

from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open._distributed.ranks import ALONE
from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._training.same import (
    check_same_networks,
    check_same_rows,
    check_same_settings,
)
from sklearn_open.batching import ImageDataset, TrainSet
from sklearn_open.plan import EpochPlanner


def told(on_ranks, check, facts):
    """Return what ranks are told, which must be the same for all; None if nothing."""

    def run(ranks):
        try:
            check(ranks, facts[ranks.rank])
        except ValueError as error:
            return str(error)

    for one in facts:  # sources of classes are read, and kept, by one thread at a time
        on_ranks(1, lambda ranks, one=one: check(ranks, one))
    first, *others = on_ranks(len(facts), run)
    assert all(other == first for other in others)
    return first


def settings_told(on_ranks, *nets):
    return told(on_ranks, check_same_settings, nets)


def net(**params):
    return OPeNClassifier(**{"random_state": 0, "verbose": 0, **params})


class Small(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layer = nn.Linear(width, 2)


@pytest.mark.parametrize(
    "make",
    [
        net,
        lambda: net(
            resampler=PureNoiseOverSampler(delta=0.5), callbacks=[EpochScoring("accuracy")]
        ),
        lambda: net(module=Small(), criterion=nn.CrossEntropyLoss()),  # with other weights
        lambda: net(random_state=None, criterion="lade", class_weight=np.array([1.0, 2.0])),
        lambda: net(augment=lambda x, generator: x),  # compared by its code, or not at all
    ],
    ids=["defaults", "objects", "networks", "arrays", "lambdas"],
)
def test_equal_parameters_are_equal_on_all_ranks(on_ranks, make):
    assert settings_told(on_ranks, make(), make(), make()) is None


def test_callbacks_may_be_those_of_one_rank(on_ranks):
    first = net(callbacks=[EpochScoring("accuracy")], callbacks__print_log=None)
    assert settings_told(on_ranks, first, net(), net()) is None


@pytest.mark.parametrize(
    ("name", "given", "other"),
    [
        ("lr", 0.1, 0.2),
        ("max_epochs", 5, 6),
        ("max_epochs", 5, "auto"),
        ("random_state", 0, 1),
        ("random_state", 0, None),
        ("module", "SmallCNN", "wrn16_2"),
        ("criterion", nn.CrossEntropyLoss, nn.NLLLoss),
        ("resampler", PureNoiseOverSampler(), PureNoiseOverSampler(delta=0.5)),
        ("module", Small(4), Small(5)),
        ("optimizer__momentum", 0.9, 0.8),
        ("memory", None, "a"),
        ("checkpoint", "a", None),
        ("mixup", None, 0.2),
    ],
)
def test_what_differs_is_named_with_the_rank(on_ranks, name, given, other):
    nets = [net(**{name: value}) for value in (given, given, other)]
    message = settings_told(on_ranks, *nets)
    assert message.startswith(f"{name} on rank 2 of 3 differ from those on rank 0. Pass the same")


def test_all_that_differs_is_named_together(on_ranks):
    message = settings_told(on_ranks, net(lr=0.1, norm="dar"), net(lr=0.2, norm="aux"))
    assert message.startswith("lr, norm on rank 1 of 2 differ")


@pytest.mark.parametrize(
    ("given", "other"),
    [
        ({"memory": "a"}, {"memory": "b"}),  # machines have folders of their own
        ({"checkpoint": "a"}, {"checkpoint": "b"}),
        ({"verbose": 0}, {"verbose": 1}),
        ({"device": "cpu"}, {"device": "auto"}),
    ],
)
def test_what_may_differ(on_ranks, given, other):
    assert settings_told(on_ranks, net(**given), net(**other)) is None


def test_classes_and_states_are_compared(on_ranks, images):
    class Other(OPeNClassifier):
        pass

    ours = net()
    assert settings_told(on_ranks, ours, Other(random_state=0)).startswith("class of the estimator")
    trained = net(max_epochs=1, start_epoch=0).fit(*images)
    message = settings_told(on_ranks, net(max_epochs=1, start_epoch=0), trained)
    assert message.startswith("number of epochs trained before on rank 1 of 2")


def test_one_process_has_nobody_to_differ_from():
    check_same_settings(ALONE, None)
    check_same_rows(ALONE, None, None)


# --- rows ---


def rows_told(on_ranks, *rows):
    return told(on_ranks, lambda ranks, own: check_same_rows(ranks, *own), rows)


def train_set(images, seed=0, make=lambda X: X):
    X, y = images
    return TrainSet(make(X), y, y, EpochPlanner(y, None, 0, 16, seed))


def changed(images, what):
    X, y = (part.copy() for part in images)
    if what == "pixel":
        X[5, 0, 0, 0] += 1
    elif what == "label":
        y[5] = 2 - y[5]
    elif what == "order":
        X, y = X[::-1], y[::-1]
    elif what == "fewer":
        X, y = X[:-1], y[:-1]
    return X, y


@pytest.mark.parametrize("what", ["pixel", "label", "order", "fewer"])
def test_other_rows(on_ranks, images, what):
    ours, other = train_set(images), train_set(changed(images, what))
    assert rows_told(on_ranks, (ours, None), (train_set(images), None)) is None
    message = rows_told(on_ranks, (ours, None), (other, None))
    assert message.startswith("training rows on rank 1 of 2 differ")
    assert "Pass all rows to fit on every rank, in the same order" in message


def test_other_rows_held_out(on_ranks, images):
    ours, valid = train_set(images), ImageDataset(*images)
    other = ImageDataset(*changed(images, "order"))
    message = rows_told(on_ranks, (ours, valid), (ours, other))
    assert message.startswith("rows held out on rank 1 of 2")
    assert message.endswith("A train_split that shuffles needs a random_state.")
    assert rows_told(on_ranks, (ours, valid), (ours, None)).startswith("rows held out")


def test_other_random_numbers(on_ranks, images):
    rows = [(train_set(images, seed), None) for seed in (0, 1)]
    assert rows_told(on_ranks, *rows).startswith("random numbers on rank 1 of 2 differ")


class Items(Dataset):
    reads = 0

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        Items.reads += 1
        return torch.from_numpy(self.X[i])


def test_data_sets_are_not_read_for_it(on_ranks, images):
    ours, same, other = (
        train_set(rows, make=lambda X: LazyImages(Items(X), np.asarray))
        for rows in (images, images, changed(images, "label"))
    )
    Items.reads = 0
    assert rows_told(on_ranks, (ours, None), (same, None)) is None
    assert rows_told(on_ranks, (ours, None), (other, None)).startswith("training rows")
    assert Items.reads == 0


# --- networks ---


def test_networks_of_other_sizes_are_refused_before_their_weights_travel(on_ranks, images):
    X, y = images
    settings = {"max_epochs": 1, "start_epoch": 0}
    ours, same = net(**settings).fit(X, y), net(**settings, random_state=1).fit(X, y)
    assert told(on_ranks, check_same_networks, (ours, same)) is None  # weights are those of rank 0
    for rows, named in [
        ((X[y < 2], y[y < 2]), "classes, layers of the network"),
        ((X[:, :, :7], y), "shape of the images"),
        ((X[:, :1], y), "layers of the network, shape of the images"),
    ]:
        message = told(on_ranks, check_same_networks, (ours, net(**settings).fit(*rows)))
        assert message.startswith(f"{named} on rank 1 of 2 differ from those on rank 0. Pass all")
