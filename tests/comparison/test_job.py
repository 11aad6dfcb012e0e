"""The order of fits, and the time that is left."""

import warnings

import pytest
from skorch.callbacks import Callback

from sklearn_open import OPeNClassifier
from sklearn_open.comparison import compare_methods
from sklearn_open.comparison._job import _TimeLeft
from sklearn_open.comparison._plan import MARGIN


def test_lines_count_up_and_say_the_time_left(images, capsys):
    net = OPeNClassifier(max_epochs=2, start_epoch=1, random_state=0)
    compare_methods(net, *images, methods=["erm", "drs"], cv=2, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 methods (2 fits a fold), 2 folds, 2 epochs: about")
    assert [line.split("]")[0] for line in lines[1:5]] == ["  [1/4", "  [2/4", "  [3/4", "  [4/4"]
    assert "erm 0." in lines[1]
    assert lines[1].endswith("left)")
    assert lines[4].endswith("(done)")
    assert lines[5].startswith("Training ")


def test_it_is_silent_unless_asked(images, capsys):
    net = OPeNClassifier(max_epochs=1, random_state=0, verbose=0)
    compare_methods(net, *images, methods=["erm"], cv=2)
    assert capsys.readouterr().out == ""


def test_time_left_is_by_what_fits_cost_and_at_first_by_the_plan():
    left = _TimeLeft([3.0, 1.0], n_folds=2)
    left._start -= 30  # seconds ago
    left.after(0)  # 3 of 8
    expected = (30 + 0.2 * 8 * MARGIN) / (3 / 8 + 0.2) * (5 / 8)
    assert str(left) == f"about {expected:.0f} s left"
    for group in (0, 1, 1):
        left.after(group)
    assert (str(left), left.counted) == ("done", "[4/4]")


class Warns(Callback):
    def on_train_end(self, net, **kwargs):
        warnings.warn("take care", stacklevel=1)


def test_warnings_of_fits_are_told_once(images):
    net = OPeNClassifier(max_epochs=1, random_state=0, verbose=0, callbacks=[Warns()])
    with pytest.warns(UserWarning, match="^erm, drs: take care$") as caught:
        compare_methods(net, *images, methods=["erm", "drs"], cv=2, refit=False)
    assert len(caught) == 1
