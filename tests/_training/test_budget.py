"""The rule of "auto": pure functions of numbers."""

import pytest

from sklearn_open._training.budget import auto_batch_size, auto_epochs, auto_warmup, n_batches

ROWS = [1, 2, 10, 100, 500, 672, 2000, 12_406, 115_846, 1_000_000]


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("batch_size", [1, 16, 128, 100_000])
def test_all_are_whole_numbers_that_can_be_trained_with(n_rows, batch_size):
    epochs = auto_epochs(n_rows, batch_size)
    warmup = auto_warmup(n_rows, batch_size, epochs)
    for number in (epochs, warmup, auto_batch_size(n_rows)):
        assert isinstance(number, int)
    assert epochs >= 1
    assert 0 <= warmup <= epochs / 10


def test_more_rows_have_larger_batches_more_steps_and_fewer_epochs():
    sizes = [auto_batch_size(n) for n in ROWS]
    epochs = [auto_epochs(n, size) for n, size in zip(ROWS, sizes, strict=True)]
    assert sizes == sorted(sizes)
    assert epochs == sorted(epochs, reverse=True)


@pytest.mark.parametrize(("rows", "size", "steps"), [(10, 4, 3), (12, 4, 3), (1, 4, 1)])
def test_the_last_batch_counts(rows, size, steps):
    assert n_batches(rows, size) == steps


def test_warm_up_is_short():
    assert auto_warmup(672, 64, 5) == 0
    assert auto_warmup(672, 64, 154) == 5
    assert auto_warmup(12_406, 128, 36) == 1


@pytest.mark.parametrize(
    ("rows", "size", "epochs"),
    [(100, 32, 400), (672, 64, 155), (2000, 64, 90), (12_406, 128, 36), (10**6, 128, 30)],
)
def test_the_rule_of_the_docs(rows, size, epochs):
    assert (auto_batch_size(rows), auto_epochs(rows, size)) == (size, epochs)


def test_large_batches_still_have_steps():
    assert auto_epochs(672, 128) == 167
    assert auto_epochs(672, 672) == 1000
