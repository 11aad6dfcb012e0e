"""What a rank says when it leaves, and what the others raise then."""

import pytest
from torch import distributed

from sklearn_open._distributed import farewell
from sklearn_open._distributed.farewell import Farewell
from sklearn_open.exceptions import CheckpointError, RankEndedError, TrainingDivergedError

CLOSED = RuntimeError("Connection closed by peer [127.0.0.1]:1234\nException raised from pair.cc")


@pytest.fixture
def ranks(tmp_path, monkeypatch):
    """Three ranks that have a store in common."""
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    monkeypatch.setattr(distributed.distributed_c10d, "_get_default_store", lambda: store)
    monkeypatch.setattr(farewell, "PATIENCE", 0)
    return [Farewell(rank, 3) for rank in range(3)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TrainingDivergedError("the loss became NaN"), TrainingDivergedError),
        (CheckpointError("no room"), CheckpointError),
        (ValueError("X has NaN"), ValueError),
        (TypeError("not a number"), TypeError),
    ],
)
def test_errors_of_the_data_or_the_training_keep_their_class(ranks, error, kind):
    ranks[1].say(error)
    for other in (ranks[0], ranks[2]):
        raised = other.of_others(CLOSED)
        assert type(raised) is kind
        assert str(raised) == f"rank 1 has ended this training: {error}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("the disk is on fire"), "OSError: the disk is on fire"),
        (KeyError("name"), "KeyError: 'name'"),
        (KeyboardInterrupt(), "KeyboardInterrupt: Ctrl-C"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "'utf-8' codec can't decode"),
    ],
)
def test_others_are_named(ranks, error, said):
    ranks[2].say(error)
    raised = ranks[0].of_others(CLOSED)
    assert isinstance(raised, (RankEndedError, ValueError))
    assert str(raised).startswith(f"rank 2 has ended this training: {said}")


@pytest.mark.parametrize("error", [MemoryError(), ValueError()])
def test_an_error_without_a_message_has_its_name(ranks, error):
    ranks[1].say(error)
    raised = ranks[0].of_others(CLOSED)
    assert str(raised) == f"rank 1 has ended this training: {type(error).__name__}"


def test_what_was_said_by_another_is_not_said_again(ranks):
    ranks[1].say(OSError("first"))
    ranks[0].say(ranks[0].of_others(CLOSED))
    assert "rank 1 has ended this training: OSError: first" in str(ranks[2].of_others(CLOSED))


def test_a_rank_that_says_nothing(ranks):
    raised = ranks[0].of_others(CLOSED)
    assert type(raised) is RankEndedError
    message = str(raised)
    assert "has not said why: it was killed" in message
    assert "With checkpoint= the same call goes on" in message
    assert message.endswith("(torch.distributed says: Connection closed by peer [127.0.0.1]:1234)")


def test_an_earlier_training_is_over(ranks):
    ranks[1].say(OSError("of the first training"))
    for rank in ranks:
        rank.training += 1
    assert "has not said why" in str(ranks[0].of_others(CLOSED))
    ranks[1].say(OSError("of the second one"))
    assert "of the second one" in str(ranks[0].of_others(CLOSED))


def test_a_reason_that_comes_late_is_waited_for(ranks, monkeypatch):
    monkeypatch.setattr(farewell, "PATIENCE", 30)
    waits = []

    def say_meanwhile(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            ranks[1].say(OSError("late"))

    monkeypatch.setattr(farewell.time, "sleep", say_meanwhile)
    assert "OSError: late" in str(ranks[0].of_others(CLOSED))
    assert len(waits) == 3


def test_the_store_may_have_gone_with_its_rank(ranks, monkeypatch):
    class Gone:
        def gone(self, *args):
            raise distributed.DistNetworkError("Connection reset by peer")

        check = get = set = gone

    monkeypatch.setattr(distributed.distributed_c10d, "_get_default_store", Gone)
    rank = Farewell(0, 2)
    rank.say(OSError("nobody can hear it"))
    assert "has not said why" in str(rank.of_others(CLOSED))
