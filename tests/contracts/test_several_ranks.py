"""One training on several ranks: it is that of one process, as far as numbers are exact."""

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("distributed_fits.py")

spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
fits = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fits)

EQUAL = [*fits.EQUAL, *fits.SPECIAL_EQUAL]
ALIKE = [*fits.ALIKE, *fits.SPECIAL_ALIKE]
# Of few rows batch norm divides by small deviations.
TOLERANCES = {"batches of 5": 1e-8, "L-BFGS": 1e-9}  # which makes many steps of one
TOLERANCE = 1e-12


class Found:
    """What has come of cases on some ranks, and in one process."""

    def __init__(self, launch, folder, n_ranks, names, timeout=60):
        launch(SCRIPT, n_ranks, folder, *names, timeout=timeout)
        found = [pickle.loads((folder / f"rank-{r}.pickle").read_bytes()) for r in range(n_ranks)]
        self.together = {name: [rank["together"][name] for rank in found] for name in names}
        self.alone = {name: rank["alone"][name] for rank in found for name in rank["alone"]}

    def check_ranks_are_equal(self, name):
        first, *others = self.together[name]
        assert not first["leftover"]
        for other in others:
            assert other["history"] == first["history"]
            for key, tensor in first["state"].items():
                np.testing.assert_array_equal(other["state"][key], tensor, err_msg=key)
        assert all(np.isfinite(tensor).all() for tensor in first["state"].values())

    def check_is_one_process(self, name):
        self.check_ranks_are_equal(name)
        ours, alone = self.together[name][0], self.alone[name]
        tolerance = TOLERANCES.get(name, TOLERANCE)
        for key, tensor in alone["state"].items():
            got = ours["state"][key]
            np.testing.assert_allclose(got, tensor, rtol=0, atol=tolerance, err_msg=key)
        for row, row_alone in zip(ours["history"], alone["history"], strict=True):
            assert row == pytest.approx(row_alone, rel=0, abs=10 * tolerance)


@pytest.fixture(scope="module")
def two(launcher, tmp_path_factory):
    return Found(launcher.launch, tmp_path_factory.mktemp("two"), 2, [*EQUAL, *ALIKE])


@pytest.mark.parametrize("name", EQUAL)
def test_two_ranks_are_one_process(two, name):
    two.check_is_one_process(name)


@pytest.mark.parametrize("name", ALIKE)
def test_two_ranks_are_one_another(two, name):
    two.check_ranks_are_equal(name)


def test_what_is_not_equal_is_seen(two):
    """Ranks mix rows of their own: else the tolerances above would say nothing."""
    ours, alone = (
        found["history"][-1]["train_loss"]
        for found in (two.together["mixup"][0], two.alone["mixup"])
    )
    assert ours != pytest.approx(alone, abs=1e-6)
    assert ours == pytest.approx(alone, rel=0.3)


def test_half_precision_is_about_that_of_one_process(two):
    ours, alone = two.together["bf16"][0]["history"], two.alone["bf16"]["history"]
    assert ours[0]["train_loss"] == pytest.approx(alone[0]["train_loss"], rel=0.05)


def test_scores_are_those_of_one_process(two):
    """Which `check_is_one_process` has compared, on all ranks."""
    for row in two.together["scores of held-out rows"][1]["history"]:
        assert row.keys() >= {"valid_loss", "valid_acc", "balanced", "of_train"}


def test_ranks_read_their_rows_of_a_data_set_only(two):
    ranks = two.together["data set"]
    (before, plain, rebalanced), (before_1, plain_1, rebalanced_1) = (r["read"] for r in ranks)
    n_rows = len(fits.data()[0])
    # Before training, all rows once, but for the first, which tells everyone the shape.
    assert set(before + before_1) == set(range(n_rows))
    assert set(before) & set(before_1) == {0}
    for parts, natural in zip(
        [(plain, plain_1), (rebalanced, rebalanced_1)], ranks[0]["natural"], strict=True
    ):
        assert sorted(parts[0] + parts[1]) == sorted(natural)
        assert abs(len(parts[0]) - len(parts[1])) < 0.1 * n_rows
    assert two.alone["data set"]["natural"] == ranks[0]["natural"]


def test_shared_epochs_are_trained_once(two):
    for rank in two.together["memory"]:
        assert rank["trained"] == [2, 1]
    for rank in two.together["M2m"]:
        assert rank["trained"][0] > rank["trained"][1]  # the teacher was kept


@pytest.mark.slow
@pytest.mark.parametrize("n_ranks", [2, 3])
def test_more_ranks_and_rarer_cases(launcher, tmp_path, n_ranks):
    equal, alike = [*EQUAL, *fits.SLOW_EQUAL], [*ALIKE, *fits.SLOW_ALIKE]
    start = launcher.torchrun if n_ranks == 2 else launcher.launch
    found = Found(start, tmp_path, n_ranks, [*equal, *alike], timeout=240)
    for name in equal:
        found.check_is_one_process(name)
    for name in alike:
        found.check_ranks_are_equal(name)
