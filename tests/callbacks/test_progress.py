"""The progress bar and what is printed beside it."""

import pytest

from sklearn_open import OPeNClassifier


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_what_is_printed(images, capsys, verbose):
    OPeNClassifier(max_epochs=2, random_state=0, verbose=verbose).fit(*images)
    out, err = capsys.readouterr()
    assert ("train_loss" in out) is (verbose > 0)
    assert ("epoch 2 of 2" in err) is (verbose == 2)
    assert ("left" in err) is (verbose == 2)
