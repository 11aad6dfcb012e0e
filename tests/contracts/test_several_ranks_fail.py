"""Whatever ends a training on one rank ends it on all, with a reason, and the processes go on."""

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("distributed_failures.py")

spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
failures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(failures)

REFUSED = "Pass the same parameters on all ranks"
ALL_ROWS = "Pass all rows to fit on every rank"
FIRE = "the disk is on fire"
SAYS_1 = "rank 1 has ended this training: "
# What rank 0 and rank 1 raise, and what they say.
RAISED = {
    "NaN loss on one rank": [
        ("TrainingDivergedError", f"{SAYS_1}the loss became nan in batch 1 of epoch 2"),
        ("TrainingDivergedError", "the loss became nan in batch 1 of epoch 2"),
    ],
    "error on rank 1": [("RankEndedError", f"{SAYS_1}OSError: {FIRE}"), ("OSError", FIRE)],
    "error on rank 0": [
        ("OSError", FIRE),
        ("RankEndedError", f"rank 0 has ended this training: OSError: {FIRE}"),
    ],
    "error at the end of a batch": [
        ("RankEndedError", f"{SAYS_1}OSError: {FIRE}"),
        ("OSError", FIRE),
    ],
    "error in shared epochs": [("RankEndedError", f"{SAYS_1}OSError: {FIRE}"), ("OSError", FIRE)],
    "unreadable item": [
        ("ValueError", f"item 7 of X could not be read: OSError: {FIRE}"),
        ("ValueError", "rank 0 has ended this training: item 7 of X could not be read"),
    ],
    "shuffled split": [("ValueError", "rows held out, training rows on rank 1 of 2 differ")] * 2,
    "other parameters": [("ValueError", "lr, norm on rank 1 of 2 differ")] * 2,
    "other random_state": [("ValueError", "random_state on rank 1 of 2 differ")] * 2,
    "memory on one rank": [("ValueError", "memory on rank 1 of 2 differ")] * 2,
    "refused parameter on one rank": [("ValueError", "lr on rank 1 of 2 differ")] * 2,
    "unusable checkpoint": [("CheckpointError", "cannot write to checkpoint=")] * 2,
    "disk full at first": [("CheckpointError", "cannot write to checkpoint=")] * 2,
    "disk full later": [("CheckpointError", "cannot write to checkpoint=")] * 2,
    "other rows": [("ValueError", "training rows on rank 1 of 2 differ")] * 2,
    "fewer rows": [("ValueError", "training rows on rank 1 of 2 differ")] * 2,
    "other labels": [("ValueError", "training rows on rank 1 of 2 differ")] * 2,
    "NaN pixels": [
        ("ValueError", f"{SAYS_1}Input X contains NaN"),
        ("ValueError", "Input X contains NaN"),
    ],
    "a class less": [("ValueError", "classes, layers of the network on rank 1 of 2 differ")] * 2,
}
# How many batches each epoch has, where a training is ended without an error.
ENDED = {
    "ended by a batch's callback": [8, 1],
    "ended by an epoch's callback": [8, 8],
    "Ctrl-C on rank 0": [8, 1],
    "Ctrl-C on rank 1": [8, 1],
    "Ctrl-C on all": [8, 1],
    "Ctrl-C twice on all": [8, 1],
    "Ctrl-C in shared epochs": [8, 1],
    "nothing": [8, 8, 8],
}


def marked(names):
    """Mark the rarer ones as slow."""
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in failures.RARE else name
        for name in names
    ]


class Found(dict):
    """How cases have ended on two ranks: the common ones, and the rare ones if one is asked for."""

    def __init__(self, launcher, tmp_path_factory):
        self.launcher, self.tmp_path_factory = launcher, tmp_path_factory

    def __missing__(self, name):
        folder = self.tmp_path_factory.mktemp("failures")
        rare = name in failures.RARE
        names = [case for case in failures.CASES if (case in failures.RARE) is rare]
        self.launcher.launch(SCRIPT, 2, folder, *names)
        ranks = [pickle.loads((folder / f"rank-{r}.pickle").read_bytes()) for r in range(2)]
        self.update({name: [rank[name] for rank in ranks] for name in names})
        return self[name]


@pytest.fixture(scope="module")
def found(launcher, tmp_path_factory):
    return Found(launcher, tmp_path_factory)


def check_usable(found, *, in_a_step=False):
    """The network has weights that can be used, the same on all ranks."""
    first, second = (rank["state"] for rank in found)
    for key, tensor in first.items():
        assert np.isfinite(tensor).all()
        if not (in_a_step and key.endswith("num_batches_tracked")):
            np.testing.assert_array_equal(second[key], tensor)


def test_all_cases_are_looked_at():
    assert {*RAISED, *ENDED, "Ctrl-C twice on rank 1"} == set(failures.CASES)


@pytest.mark.parametrize("name", marked(failures.CASES))
def test_nothing_is_left_behind(found, name):
    for rank in found[name]:
        assert not rank["leftover"]
        assert rank["groups"] == 1  # the user's own


@pytest.mark.parametrize("name", marked(RAISED))
def test_all_ranks_raise_and_say_why(found, name):
    for rank, (kind, message) in zip(found[name], RAISED[name], strict=True):
        assert rank["error"] == kind
        assert rank["message"].startswith(message)


@pytest.mark.parametrize("name", marked([*failures.PARAMETERS, *failures.ROWS, *failures.OF_ALL]))
def test_refusals_change_nothing_and_say_what_to_do(found, name):
    for rank in found[name]:
        assert "state" not in rank
        assert rank["batches"] == []
    advice = REFUSED if name in failures.PARAMETERS else ALL_ROWS
    if name != "NaN pixels":
        assert advice in found[name][0]["message"]


@pytest.mark.parametrize("name", marked(ENDED))
def test_a_training_that_is_ended_ends_after_the_same_step(found, name):
    for rank in found[name]:
        assert rank["error"] is None
        assert rank["batches"] == ENDED[name]
        assert rank["interrupted"] is name.startswith("Ctrl-C")
    check_usable(found[name])


@pytest.mark.parametrize(
    "name",
    marked(["NaN loss on one rank", "disk full later", *(n for n in RAISED if "error" in n)]),
)
def test_networks_stay_usable(found, name):
    check_usable(found[name], in_a_step=name.startswith("error"))


def test_a_loss_that_is_nan_is_taken_back_on_all_ranks(found):
    for rank in found["NaN loss on one rank"]:
        assert rank["batches"] == [8]


def test_a_second_ctrl_c_on_one_rank_does_not_let_others_wait(found):
    first, second = found["Ctrl-C twice on rank 1"]
    assert (first["error"], second["error"]) == ("RankEndedError", None)
    assert first["message"] == f"{SAYS_1}KeyboardInterrupt: Ctrl-C"
    assert second["interrupted"]
