"""What ranks do together, on a real group of one rank; several are in contracts/."""

import pytest
import torch
from torch import distributed, nn

from sklearn_open import OPeNClassifier
from sklearn_open._distributed import farewell
from sklearn_open._distributed.farewell import Farewell
from sklearn_open._distributed.ranks import (
    ALONE,
    GroupRanks,
    _Counter,
    _trainings,
    is_other_rank,
    open_ranks,
)
from sklearn_open.batching._share import WHOLE, Share
from sklearn_open.comparison import compare_methods
from sklearn_open.decoupling import MetaSampledClassifier
from sklearn_open.exceptions import RankEndedError

CPU = torch.device("cpu")


@pytest.fixture
def group(tmp_path):
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


def n_groups():
    return len(distributed.distributed_c10d._world.pg_map)


def test_one_process_does_alone_what_ranks_do_together():
    tensor = torch.arange(3.0)
    assert not ALONE.are_grouped
    assert ALONE.share is WHOLE
    assert (ALONE.rank, ALONE.gather("x"), ALONE.largest(7)) == (0, ["x"], 7)
    assert torch.equal(ALONE.stacked(tensor), tensor[None])
    ALONE.add_up(tensor)
    ALONE.spread(tensor)
    ALONE.tell("nobody")
    assert tensor.tolist() == [0, 1, 2]
    assert ALONE.from_first(lambda: "made") == "made"
    with pytest.raises(NotImplementedError):
        ALONE.hear()


@pytest.mark.usefixtures("group")
def test_a_group_of_one_rank_does_the_same():
    tensor = torch.arange(3.0)
    with open_ranks(True, CPU) as ranks:
        assert ranks.are_grouped
        assert ranks.share == Share(0, 1)
        assert ranks.share.key == ()  # so its random numbers are those of one process
        assert (ranks.rank, ranks.gather({"x": 1}), ranks.largest(7)) == (0, [{"x": 1}], 7)
        assert torch.equal(ranks.stacked(tensor.expand(2, 3)), tensor.expand(1, 2, 3))
        ranks.add_up(tensor)
        ranks.spread(tensor)
        assert tensor.tolist() == [0, 1, 2]
        ranks.tell("nobody")
        assert ranks.from_first(lambda: "made") == "made"


def refuses():
    raise TypeError("cannot be read back")


@pytest.mark.usefixtures("group")
def test_what_the_first_rank_raises_is_told_before_it_is_raised(monkeypatch):
    class TwoFaced(Exception):
        """Pickles, and cannot be read back."""

        def __reduce_ex__(self, protocol):
            return refuses, ()

    told = []
    with open_ranks(True, CPU) as ranks:
        monkeypatch.setattr(ranks, "tell", told.append)
        for error in (OSError("no room"), TwoFaced("not pickled")):
            with pytest.raises(type(error)):
                ranks.from_first(lambda error=error: (_ for _ in ()).throw(error))
    (_, first), (_, second) = told
    assert isinstance(first, OSError)
    assert str(first) == "no room"
    assert type(second) is RuntimeError
    assert str(second) == "TwoFaced: not pickled"


def test_all_ranks_have_what_the_first_one_makes(on_ranks):
    made = []

    def from_first(ranks):
        return ranks.from_first(lambda: made.append(ranks.rank) or "made")

    assert on_ranks(3, from_first) == ["made"] * 3
    assert made == [0]


def test_all_ranks_raise_what_the_first_one_raises(on_ranks):
    def fail(ranks):
        def make():
            raise OSError("no room")

        with pytest.raises(OSError, match="no room"):
            ranks.from_first(make)
        return ranks.gather(ranks.rank)  # and go on together

    assert on_ranks(3, fail) == [[0, 1, 2]] * 3


def test_without_a_group_it_says_how_to_get_one(images):
    with (
        pytest.raises(ValueError, match=r"torchrun .*init_process_group\(\) before fit"),
        open_ranks(True, CPU),
    ):
        pass
    clf = OPeNClassifier(distributed=True, verbose=0)
    with pytest.raises(ValueError, match=r"there is none\. Start the script by torchrun"):
        clf.fit(*images)
    assert not hasattr(clf, "module_")
    with open_ranks(False, CPU) as ranks:
        assert ranks is ALONE


@pytest.mark.usefixtures("group")
def test_a_training_leaves_no_group_behind():
    before = n_groups()
    with open_ranks(True, CPU) as ranks:
        assert n_groups() == before + 1  # on a CPU flags and tensors go the same way
        assert isinstance(ranks, GroupRanks)
    assert n_groups() == before
    with pytest.raises(OSError, match="fire"), open_ranks(True, CPU):
        raise OSError("the disk is on fire")
    assert n_groups() == before


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("error", [OSError("fire"), KeyboardInterrupt()])
def test_a_rank_that_fails_says_so_before_it_leaves(monkeypatch, error):
    said, before = [], n_groups()
    monkeypatch.setattr(Farewell, "say", lambda self, error: said.append((error, n_groups())))
    with pytest.raises(type(error)), open_ranks(True, CPU):
        raise error
    assert said == [(error, before + 1)]


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("add_up", "all_reduce"),
        ("largest", "all_reduce"),
        ("stacked", "all_gather"),
        ("gather", "all_gather_object"),
        ("spread", "broadcast"),
        ("tell", "broadcast_object_list"),
    ],
)
def test_a_collective_that_fails_says_why(monkeypatch, call, name):
    def closed(*args, **kwargs):
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(farewell, "PATIENCE", 0)
    with open_ranks(True, CPU) as ranks:
        says_why = r"has not said why.* Connection closed by peer"
        with monkeypatch.context() as patched:
            patched.setattr(distributed, name, closed)
            with pytest.raises(RankEndedError, match=says_why):
                getattr(ranks, call)(1 if call == "largest" else torch.zeros(1))


@pytest.mark.usefixtures("group")
def test_trainings_are_counted():
    """What ranks say has the number of their training, of which some may have had more before."""
    numbers = []
    for _ in range(2):
        with open_ranks(True, CPU) as ranks:
            (number,) = ranks.gather(_trainings.count)
            numbers.append(number)
    assert numbers[1] == numbers[0] + 1


def test_counts_of_trainings_are_the_largest_of_all_ranks():
    counter = _Counter()
    assert counter.next(lambda own: [own, 4]) == 5
    assert counter.next(lambda own: [own, 0]) == 6


def test_which_processes_are_other_ranks(monkeypatch):
    assert not is_other_rank()
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    for rank, expected in [(0, False), (1, True)]:
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        assert is_other_rank() is expected


class InFloat64(nn.Module):
    """Differences of rounding grow in training: those of float64 stay small for long."""

    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(in_channels, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        self.head = nn.Linear(6, num_classes)
        self.double()

    def forward(self, x):
        return self.head(self.body(x.double()).mean((2, 3)))


@pytest.mark.usefixtures("group")
def test_a_training_on_one_rank_is_that_of_one_process(images):
    settings = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0}
    settings |= {"augment": "flip_crop", "module": InFloat64, "verbose": 0}
    one = OPeNClassifier(**settings, distributed=True).fit(*images)
    alone = OPeNClassifier(**settings).fit(*images)
    states = [clf.module_.state_dict() for clf in (one, alone)]
    torch.testing.assert_close(*states, rtol=0, atol=1e-12)
    assert "ranks_" not in vars(one)


# --- what several ranks cannot train ---


@pytest.mark.usefixtures("group")
def test_a_loader_of_one_s_own_has_no_plan_to_deal(images):
    clf = OPeNClassifier(distributed=True, iterator_train__drop_last=True, verbose=0)
    with pytest.raises(ValueError, match="Leave iterator_train out"):
        clf.fit(*images)
    assert not hasattr(clf, "module_")


@pytest.mark.usefixtures("group")
def test_steps_that_are_differentiated_are_refused(images):
    with pytest.raises(ValueError, match="MetaSampledClassifier differentiates its own steps"):
        MetaSampledClassifier(distributed=True, verbose=0).fit(*images)


def test_comparisons_are_fits_of_their_own(images):
    with pytest.raises(ValueError, match="comparison is many fits"):
        compare_methods(OPeNClassifier(distributed=True, verbose=0), *images)


@pytest.mark.parametrize("value", [None, 1, "auto", 2])
def test_distributed_is_true_or_false(images, value):
    with pytest.raises((TypeError, ValueError), match="distributed"):
        OPeNClassifier(distributed=value, max_epochs=1, verbose=0).fit(*images)
