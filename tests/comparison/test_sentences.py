"""What is said of a comparison, and what is not."""

import numpy as np

from sklearn_open.comparison._sentences import in_percent, sentences, table, words_for
from tests.comparison.test_result import SCORES, made


def said(scores, **kwargs):
    return " ".join(sentences(made(scores, **kwargs)))


def test_what_is_clear_is_said_with_its_error():
    text = said(SCORES)
    assert "open has the best balanced accuracy: 70.8 ± 1.1 (mean of 5 folds)." in text
    assert "It is above erm by 10.6 ± 0.4 (p = 0.001 or less) and drs by 10.0 ± 1.1" in text
    assert "cannot be told apart" not in text


def test_what_is_not_clear_is_said_too():
    scores = SCORES.copy()
    scores[1] = scores[2] + [0.01, -0.012, 0.004, -0.006, 0.0]
    text = said(scores)
    assert "It is above erm by 10.6 ± 0.4" in text
    assert "From drs it cannot be told apart by these folds." in text
    assert "drs is above plain training (erm) by 10.5" in text


def test_plain_training_that_is_as_good_is_named_as_the_simplest():
    scores = SCORES[[0, 0, 0]] + np.random.RandomState(0).normal(0, 0.01, (3, 5))
    scores[2] += scores[:2].mean(axis=1).max() - scores[2].mean() + 0.004
    text = said(scores)
    assert "Of these, erm is the simplest." in text
    assert "that may be chance" in text


def test_what_is_below_plain_training_is_called_so():
    text = said(SCORES[::-1])  # erm is best now
    assert "erm has the best" in text
    assert "drs is below plain training (erm) by 10.0" in text
    assert "open is below plain training (erm) by 10.6" in text


def test_false_alarms_are_the_price_that_is_named():
    assert "open calls 14.3 % of the images of good another class, plain training 0.0 %" in said(
        SCORES
    )
    assert "By macro F1, which false alarms count against, erm is first" in said(SCORES)


def test_copies_across_the_split_are_remembered():
    found = made(SCORES)
    found.copies_ = {"exact": 2, "near": 3}
    assert "5 images were tested while a copy" in " ".join(sentences(found))


def test_sources_are_named():
    text = said(SCORES)
    assert "Nadeau and Bengio, 2003" in text
    assert "Holm, 1979, for 2 comparisons" in text
    assert "chose it" in text


def test_scores_that_are_no_shares_are_shown_as_they_are():
    text = str(made(-10 * SCORES, scoring="neg_log_loss"))
    assert "erm has the best neg_log_loss: -6.020 ± " in text
    assert [in_percent(s) for s in ("accuracy", "recall_macro", len)] == [True, True, False]
    assert words_for(len) == "the score"


def test_the_table_lines_up():
    lines = table(made(SCORES)).splitlines()
    ends = [line.find(word) + len(word) for line, word in zip(lines, ("F1", "", ""), strict=False)]
    assert ends[0] == len(lines[0].split("F1")[0]) + 2
    assert len({len(line) for line in lines}) == 1
    assert "balanced acc." not in lines[0]
