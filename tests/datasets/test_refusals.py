import pytest

from sklearn_open.datasets._image_files import UnusableFileError
from sklearn_open.datasets._refusals import Refusals

ONE = UnusableFileError("'a.png' is broken.")


def test_the_first_is_raised():
    with pytest.raises(ValueError, match=r"'a\.png' is broken"):
        Refusals("raise").add(ONE)


def test_all_are_counted():
    refusals = Refusals("skip")
    refusals.warn(3)  # of nothing
    refusals.add(ONE)
    refusals.add(UnusableFileError("'b/' is closed.", folder="b"))
    assert refusals.folders == ["b"]
    with pytest.warns(
        UserWarning, match="2 of 5 files were left out. The first: 'a.png' is broken"
    ):
        refusals.warn(3)
    with pytest.raises(ValueError, match="2 of 2 files"):
        refusals.warn(0)


@pytest.mark.parametrize("on_error", ["ignore", None])
def test_there_is_nothing_else_to_do(on_error):
    with pytest.raises(ValueError, match="on_error must be one of"):
        Refusals(on_error)
