"""What is said of a comparison, and what is not."""

import numpy as np
import pytest

from sklearn_open.comparison._sentences import in_percent, note, sentences, table, words_for
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
    assert "Its difference to plain training (erm), +" in text
    assert "may be chance" in text


def test_what_is_below_plain_training_is_said_once():
    text = said(SCORES[::-1])  # erm is best now
    assert "erm has the best" in text
    assert text.count("by 10.0") == 1
    lower = SCORES.copy()
    lower[1] -= [0.2, 0.21, 0.22, 0.2, 0.19]
    assert "drs is below plain training (erm) by 1" in said(lower)


def test_no_pair_is_judged_twice():
    """By one p-value, adjusted among the best's differences, and not among plain training's."""
    rng = np.random.RandomState(3)
    for _ in range(30):
        scores = 0.6 + rng.normal(0, 0.03, (3, 5)) + np.array([[0.0], [0.02], [0.04]])
        text = said(scores)
        for name in ("erm", "drs", "open"):
            if f"It is above {name}" in text:
                assert "may be chance" not in text.split("Noise")[0] or name != "erm"


def test_noise_is_compared_with_duplicates():
    text = said(SCORES)
    assert "Noise in place of duplicates (open against drs): +10.0 ± 1.1." in text
    scores = SCORES.copy()
    scores[1] = scores[2] + [0.01, -0.012, 0.004, -0.006, 0.0]
    assert "(open against drs): +0.1 ± 0.6, which may be chance." in said(scores)


def test_nothing_above_guessing_is_said_to_be_so():
    rng = np.random.RandomState(0)
    noise = rng.normal(0, 0.1, (3, 5))
    assert "not clearly above guessing (33.3)" in said(1 / 3 + noise - noise.mean(axis=1).max())
    assert "guessing" not in said(SCORES)


def test_methods_without_a_score_are_named_and_not_compared():
    scores = SCORES.copy()
    scores[0, 2] = np.nan
    text = said(scores)
    assert "erm failed on some folds, and cannot be compared." in text
    assert "From erm" not in text
    assert "erm by" not in text
    with pytest.raises(ValueError, match="No method has a score on every fold"):
        made(scores[:1], methods=("erm",))


def test_class_names_may_be_anything():
    found = made(SCORES)
    found.class_names_ = np.array(["north", "north_se", "p_p"])
    assert table(found).splitlines()[0].split()[-4:] == ["north", "north_se", "p_p", "seconds"]


def test_macro_f1_is_not_said_twice():
    head = table(made(SCORES, scoring="f1_macro")).splitlines()[0]
    assert head.count("macro F1") == 1
    assert "balanced acc." in head


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
    text = note(made(SCORES))
    assert "Nadeau and Bengio, 2003" in text
    assert "Holm, 1979, for 2 comparisons" in text
    assert "chose it" in text
    assert "for 1 comparison." in note(made(SCORES[:2], methods=("erm", "drs")))
    assert note(made(SCORES[:1], methods=("erm",))) == note(made(SCORES[:, :1])) == ""


def test_scores_that_are_no_shares_are_shown_as_they_are():
    text = str(made(-10 * SCORES, scoring="neg_log_loss"))
    assert "erm has the best neg_log_loss: -6.020 ± " in text
    assert [in_percent(s) for s in ("accuracy", "recall_macro", len)] == [True, True, False]
    assert words_for(len) == "score"


def test_the_table_lines_up():
    lines = table(made(SCORES)).splitlines()
    ends = [line.find(word) + len(word) for line, word in zip(lines, ("F1", "", ""), strict=False)]
    assert ends[0] == len(lines[0].split("F1")[0]) + 2
    assert len({len(line) for line in lines}) == 1
    assert "balanced acc." not in lines[0]
