"""A comparison in words: the table, and what a statistician would say of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy import stats

from sklearn_open.comparison._statistics import paired_difference

__all__ = ["cells_of", "in_percent", "note", "sentences", "table", "words_for"]

LEVEL = 0.05
# What tables call the numbers of `MethodComparison.to_frame`. All but ranking are in percent.
HEADINGS = {
    "to_best": "to best",
    "to_plain": "to plain",
    "balanced_accuracy": "balanced acc.",
    "macro_f1": "macro F1",
    "false_alarms": "false alarms",
    "ranking": "ROC AUC",
    "smallest_fifth": "smallest 20 %",
    "fit_time": "seconds",
}
SIGNED = ("to_best", "to_plain")
OF_SCORE = ("score", *SIGNED)  # in the units of the score
# They stand beside what they are of, or are left out.
NOT_SHOWN = {
    *("standard_error", "to_best_se", "to_plain_se", "to_best_p", "to_plain_p", "accuracy")
}
WORDS = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "f1_macro": "macro F1",
}
OF_SCORING = {"balanced_accuracy": "balanced_accuracy", "f1_macro": "macro_f1"}  # the same number


def words_for(scoring: Any) -> str:
    """Return what a score is called in a sentence."""
    return WORDS.get(scoring, scoring) if isinstance(scoring, str) else "score"


def in_percent(scoring: Any) -> bool:
    """Whether a score is a share of 1; others are shown as they are."""
    return scoring in WORDS or (isinstance(scoring, str) and scoring.startswith("recall"))


# --- the table ---


def table(result: Any) -> str:
    """Return the table of a `MethodComparison`, the best method first; shares in percent."""
    heads, cells = cells_of(result)
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(heads))]
    lines = []
    for line in [heads, *cells]:
        numbers = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)][1:]
        lines.append("  ".join([line[0].ljust(widths[0]), *numbers]).rstrip())
    return "\n".join(lines)


def cells_of(result: Any) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of the table, as text."""
    rows = result.rows()
    hidden = NOT_SHOWN | {OF_SCORING.get(result.scoring if _is_name(result.scoring) else "", "")}
    if len(result.methods_) == 1:
        hidden |= {"to_best"}
    if not result.differences_to_plain_:
        hidden |= {"to_plain"}
    columns = [name for name in rows[0] if name not in hidden]
    heads = ["method", *(_heading(name, result.scoring) for name in columns)]
    cells = [
        [method, *(_cell(name, row, result.scoring) for name in columns)]
        for method, row in zip(result.ranked(), rows, strict=True)
    ]
    return heads, cells


def _is_name(scoring: Any) -> bool:
    return isinstance(scoring, str)


def _heading(name: str, scoring: Any) -> str:
    if name == "score":
        return words_for(scoring)
    return HEADINGS.get(name, name.removeprefix("recall_"))


def _cell(name: str, row: dict[str, float], scoring: Any) -> str:
    """Return a number as the table shows it; with its standard error, where it has one."""
    value = row[name]
    if np.isnan(value):
        return "-"
    if name == "fit_time":
        return f"{value:.1f}" if value < 10 else f"{value:.0f}"
    if name == "ranking":
        return f"{value:.3f}"
    scale = 100 if in_percent(scoring) or name not in OF_SCORE else 1
    error = row.get("standard_error" if name == "score" else f"{name}_se", np.nan)
    return _number(value, error, scale, sign=name in SIGNED)


def _number(value: float, error: float, scale: int, *, sign: bool = False) -> str:
    digits = 1 if scale == 100 else 3
    rounded = round(scale * value, digits) + 0.0  # minus zero is zero
    text = f"{rounded:{'+' if sign else ''}.{digits}f}"
    return text if np.isnan(error) else f"{text} ± {scale * error:.{digits}f}"


# --- sentences ---


def sentences(result: Any) -> list[str]:
    """Return what can be said of a `MethodComparison`, and what cannot."""
    said = [_of_the_best(result), *_of_chance(result), *_of_the_others(result)]
    said += [*_of_plain(result), *_of_noise(result), *_of_prices(result)]
    if any(result.copies_.values()):
        exact, near = result.copies_["exact"], result.copies_["near"]
        said.append(
            f"{exact + near} images were tested while a copy of them was trained on ({exact} "
            f"exact, {near} near): all scores are better than they will be on new images."
        )
    return said


def note(result: Any) -> str:
    """Return how differences were tested; nothing, where there are none."""
    n_others = len(result.methods_) - 1
    if result.n_folds_ == 1 or not n_others:
        return ""
    comparisons = f"{n_others} comparisons" if n_others > 1 else "1 comparison"
    return (
        "(±: standard error of the mean over folds, paired for differences, by the corrected "
        "resampled t-test of Nadeau and Bengio, 2003; p-values by Holm, 1979, for "
        f"{comparisons}. The best of several is a little flattered: the same folds chose it.)"
    )


def _amount(result: Any, value: float, error: float = np.nan, *, sign: bool = False) -> str:
    return _number(value, error, 100 if in_percent(result.scoring) else 1, sign=sign)


def _scored(result: Any, method: str) -> bool:
    return not np.isnan(result.scores_[result.methods_.index(method)]).any()


def _of_the_best(result: Any) -> str:
    error = float(result.standard_errors_[result.best_index_])
    mean = _amount(result, result.best_score_, error)
    folds = f"mean of {result.n_folds_} folds" if result.n_folds_ > 1 else "one fold"
    return f"{result.best_method_} has the best {words_for(result.scoring)}: {mean} ({folds})."


def _of_chance(result: Any) -> list[str]:
    """Say if not even the best method is clearly above guessing."""
    error = float(result.standard_errors_[result.best_index_])
    if result.scoring != "balanced_accuracy" or np.isnan(error):
        return []
    guessing = 1 / len(result.classes_)
    least = result.best_score_ - float(stats.t.ppf(0.975, result.n_folds_ - 1)) * error
    if least > guessing:
        return []
    return [
        f"That is not clearly above guessing ({100 * guessing:.1f}): with so few images nothing "
        "was learnt that shows, or labels do not go with the images."
    ]


def _of_the_others(result: Any) -> list[str]:
    """Say which methods the best is above, and from which it cannot be told apart."""
    lost = [name for name in result.methods_ if not _scored(result, name)]
    said = [f"{_and(lost)} failed on some folds, and cannot be compared."] if lost else []
    if result.n_folds_ == 1:
        return [
            *said,
            "One fold does not say how much of a difference is chance: nothing can be told.",
        ]
    clear, unclear = [], []
    for method, found in result.differences_to_best_.items():
        if found.p_value < LEVEL:
            amount = _amount(result, found.mean, found.standard_error)
            clear.append(f"{method} by {amount} (p = {_p(found.p_value)})")
        elif method not in lost:
            unclear.append(method)
    if clear:
        said.append(f"It is above {_and(clear)}.")
    if unclear:
        said.append(f"From {_and(unclear)} it cannot be told apart by these folds.")
        free = [
            name for name in ("erm", "logit_adjusted") if name in unclear and _is_near(result, name)
        ]
        if free and result.best_method_ not in ("erm", "logit_adjusted"):
            said.append(f"Of these, {free[0]} is the simplest.")
    return said


def _is_near(result: Any, method: str) -> bool:
    """Whether a method is within one standard error of the best: a saving, not a loss unproven."""
    found = result.differences_to_best_[method]
    return bool(found.mean <= found.standard_error)


def _of_plain(result: Any) -> list[str]:
    """Say which other methods than the best differ from plain training; if that is not the best."""
    said: list[str] = []
    if result.n_folds_ == 1 or result.best_method_ == "erm":
        return said
    for method, found in result.differences_to_plain_.items():
        if found.p_value < LEVEL and method != result.best_method_:
            amount = _amount(result, abs(found.mean), found.standard_error)
            place = "above" if found.mean > 0 else "below"
            said.append(f"{method} is {place} plain training (erm) by {amount}.")
    found = result.differences_to_best_.get("erm")
    if found is not None and not found.p_value < LEVEL and not np.isnan(found.mean):
        amount = _amount(result, found.mean, found.standard_error, sign=True)
        said.append(f"Its difference to plain training (erm), {amount}, may be chance.")
    return said


def _of_noise(result: Any) -> list[str]:
    """Say what pure noise does: the same over-sampling with and without."""
    if not {"open", "drs"} <= set(result.methods_) or result.n_folds_ == 1:
        return []
    noisy, plain = (result.scores_[result.methods_.index(name)] for name in ("open", "drs"))
    found = paired_difference(noisy, plain, result.test_share_)
    if np.isnan(found.mean):
        return []
    amount = _amount(result, found.mean, found.standard_error, sign=True)
    chance = "" if found.p_value < LEVEL else ", which may be chance"
    return [f"Noise in place of duplicates (open against drs): {amount}{chance}."]


def _of_prices(result: Any) -> list[str]:
    """Say what the best method costs in false alarms, and what other measures prefer."""
    said = []
    best = result.best_index_
    alarms = [_mean(row) for row in result.measures_["false_alarms"]]
    if "erm" in result.methods_ and result.best_method_ != "erm":
        largest = result.class_names_[int(result.class_count_.argmax())]
        plain = alarms[result.methods_.index("erm")]
        said.append(
            f"False alarms: {result.best_method_} calls {100 * alarms[best]:.1f} % of the images "
            f"of {largest} another class, plain training {100 * plain:.1f} %."
        )
    macro_f1 = np.array([_mean(row) for row in result.measures_["macro_f1"]])
    first = int(np.nanargmax(macro_f1)) if not np.isnan(macro_f1).all() else best
    is_more = round(100 * macro_f1[first], 1) > round(100 * macro_f1[best], 1)
    if is_more and result.scoring != "f1_macro":
        said.append(
            f"By macro F1, which false alarms count against, {result.methods_[first]} is first "
            f"({100 * macro_f1[first]:.1f}; {result.best_method_} {100 * macro_f1[best]:.1f})."
        )
    return said


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def _p(value: float) -> str:
    return "0.001 or less" if value < 0.001 else f"{value:.3f}"


def _and(parts: Iterable[str]) -> str:
    *first, last = list(parts)
    return f"{', '.join(first)} and {last}" if first else last
