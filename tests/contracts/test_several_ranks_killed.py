"""A rank that is killed: the others end and say so, and the same call goes on where it was."""

import importlib.util
import pickle
import random
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("distributed_killed.py")

spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
killed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(killed)

PLACES = ["before a step", "in a step", "after a step", "while a checkpoint is written"]
KILLED = -9


def found(folder, n_ranks):
    return [pickle.loads((folder / f"rank-{rank}.pickle").read_bytes()) for rank in range(n_ranks)]


@pytest.fixture(scope="module")
def expected(launcher, tmp_path_factory):
    """What comes of a training that nobody kills."""
    folder = tmp_path_factory.mktemp("whole")
    launcher.launch(SCRIPT, 2, folder)
    first, second = found(folder, 2)
    np.testing.assert_equal(second, first)
    assert [len(batches) for batches in first["batches"]] == [killed.N_BATCHES] * killed.N_EPOCHS
    return first


def moment(seed):
    """Rank, batch and place where it is killed; only rank 0 writes checkpoints, after epochs."""
    rng = random.Random(seed)
    place = PLACES[seed % len(PLACES)]
    if place == "while a checkpoint is written":
        return 0, killed.N_BATCHES * rng.randint(1, killed.N_EPOCHS - 1), place
    return rng.randint(0, 1), rng.randint(1, killed.N_BATCHES * killed.N_EPOCHS), place


def kill(launcher, folder, rank, batch, place):
    ended = launcher.launch(SCRIPT, 2, folder, rank, batch, place, timeout=60, check=False)
    assert ended[rank].code == KILLED, launcher.as_text(ended)
    assert ended[1 - rank].code == killed.RANK_ENDED, launcher.as_text(ended)
    assert "RankEndedError: another rank of this training has ended" in ended[1 - rank].out
    assert "With checkpoint= the same call goes on" in ended[1 - rank].out


@pytest.mark.parametrize("seed", range(10))
def test_a_training_goes_on_to_the_bits_of_one_that_was_never_killed(
    launcher, tmp_path, expected, seed
):
    kill(launcher, tmp_path, *moment(seed))
    launcher.launch(SCRIPT, 2, tmp_path)
    for rank in found(tmp_path, 2):
        np.testing.assert_equal(rank, expected)


@pytest.mark.parametrize("n_ranks", [1, 3])
def test_it_goes_on_on_another_number_of_ranks(launcher, tmp_path, expected, n_ranks):
    kill(launcher, tmp_path, 1, 3 * killed.N_BATCHES + 2, "in a step")
    launcher.launch(SCRIPT, n_ranks, tmp_path)
    first, *others = found(tmp_path, n_ranks)
    for rank in others:
        np.testing.assert_equal(rank, first)
    for key, tensor in expected["state"].items():
        np.testing.assert_allclose(first["state"][key], tensor, rtol=0, atol=1e-12)
    np.testing.assert_allclose(first["batches"], expected["batches"], rtol=0, atol=1e-6)


def test_a_scheduler_that_ends_all_ranks_ends_them_after_the_step(launcher, tmp_path, expected):
    arguments = (tmp_path, killed.ALL, 2 * killed.N_BATCHES + 3, "before a step")
    ended = launcher.launch(SCRIPT, 2, *arguments, check=False)
    assert [rank.code for rank in ended] == [-15, -15], launcher.as_text(ended)
    launcher.launch(SCRIPT, 2, tmp_path)
    for rank in found(tmp_path, 2):
        np.testing.assert_equal(rank, expected)


@pytest.mark.parametrize("rank", [0, 1])
def test_torchrun_does_not_wait(launcher, tmp_path, rank):
    """It sends SIGTERM to the others when one has died, and they say what they know before."""
    arguments = (tmp_path, rank, killed.N_BATCHES + 2, "in a step")
    ended = launcher.torchrun(SCRIPT, 2, *arguments, timeout=60, check=False)
    assert ended.code == 1, launcher.as_text([ended])
    assert "RankEndedError: another rank of this training has ended" in ended.out
    assert "SIGKILL" in ended.err
