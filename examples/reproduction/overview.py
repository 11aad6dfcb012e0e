"""All methods of a setting in one table: as trained, and by the strength that validation chose.

Validation runs (``run.py --validation``) are the same trainings, tested on training images that
were held out. Of each method the strength of post-hoc logit adjustment with the best accuracy there
is taken, and the test set is looked at once.
"""

from __future__ import annotations

import numpy as np
from runs import OVERALL, SMALLEST, Kind, Setting, best_strength, mean_and_error

__all__ = ["both_of", "by_seed", "chosen_tau", "overview", "runs_at", "twin_of"]


def twin_of(setting: Setting, settings: list[Setting]) -> Setting | None:
    """Return the validation runs of a setting; None where there are none, or it is one itself."""
    same = [
        other
        for other in settings
        if other.validation and not setting.validation and other.ground == setting.ground
    ]
    return same[0] if same else None


def chosen_tau(setting: Setting, validation: Setting | None, kind: Kind) -> float | None:
    """Return the strength that is best on validation rows, of those that all seeds have.

    Parameters
    ----------
    setting : Setting
        Test runs, for which it is chosen.
    validation : Setting or None
        Validation runs.
    kind : Kind
        What was trained.

    Returns
    -------
    float or None
        None where it was not trained for validation.

    Raises
    ------
    ValueError
        If validation runs have other parameters than test runs.
    """
    if validation is None or kind not in validation.accuracy:
        return None
    expected = validation.parameters[kind]
    if setting.parameters.get(kind, expected) != expected:
        raise ValueError(f"{kind.method}: validation runs have other parameters. Make them anew.")
    return best_strength(
        {
            tau: validation.adjusted_runs(kind, tau)[:, OVERALL]
            for other, tau in [*validation.adjusted]
            if other == kind and _has_all(validation, kind, tau)
        }
    )


def _has_all(setting: Setting, kind: Kind, tau: float) -> bool:
    """Whether all runs of a kind have a strength; older ones have fewer."""
    return setting.adjusted.get((kind, tau), {}).keys() == setting.accuracy[kind].keys()


def runs_at(setting: Setting, kind: Kind, tau: float) -> np.ndarray:
    """Return all runs of a kind at a strength; refuse if some of them do not have it."""
    if not _has_all(setting, kind, tau):
        raise ValueError(
            f"{kind.method}: some of its test results lack tau={tau:g}. Make them anew."
        )
    return setting.adjusted_runs(kind, tau)


def by_seed(setting: Setting, kind: Kind, tau: float | None) -> dict[int, np.ndarray]:
    """Return accuracies by seed: as trained without a `tau`, and for one of 0; else adjusted."""
    found = setting.accuracy.get(kind, {})
    if not tau or not found:
        return found
    return dict(zip(sorted(found), runs_at(setting, kind, tau), strict=True))


def overview(setting: Setting, validation: Setting | None, names: list[str]) -> list[list[str]]:
    """Return the rows of the table, in the order of `names`, those that there are runs of."""
    rows = []
    augments = dict.fromkeys((None, *(kind.augment for kind in setting.accuracy)))
    for kind in (Kind(name, augment) for augment in augments for name in names):
        if not len(runs := setting.runs(kind)):
            continue
        title = kind.method.replace("-", "_")
        if kind.augment is not None:
            title += ", no augmentation" if kind.augment == "none" else f", {kind.augment}"
        row = [title, str(len(runs)), both_of(runs)]
        tau = chosen_tau(setting, validation, kind)
        row += ["", ""] if tau is None else [f"{tau:g}", both_of(runs_at(setting, kind, tau))]
        open_ = Kind("open", kind.augment)
        open_tau = chosen_tau(setting, validation, open_)
        row.append(above(setting, (kind, tau), (open_, None)))
        is_fair = tau is not None and open_tau is not None
        row.append(above(setting, (kind, tau), (open_, open_tau)) if is_fair else "")
        rows.append(row)
    return rows


def both_of(runs: np.ndarray, sign: str = "") -> str:
    """Return overall accuracy and that of the smallest classes."""
    return " / ".join(mean_and_error(runs, column, sign) for column in (OVERALL, SMALLEST))


def above(
    setting: Setting, one: tuple[Kind, float | None], other: tuple[Kind, float | None]
) -> str:
    """Return how much one is above another, seed by seed: kinds, as trained or at a strength."""
    found, reference = by_seed(setting, *one), by_seed(setting, *other)
    seeds = sorted(set(found) & set(reference))
    if not seeds or (one[0] == other[0] and (one[1] or 0) == (other[1] or 0)):
        return ""
    return both_of(np.array([found[seed] - reference[seed] for seed in seeds]), "+")
