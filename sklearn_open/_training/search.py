"""Whether a fit is one of the many that a search or a cross-validation makes."""

from __future__ import annotations

import sys
from types import FrameType

__all__ = ["is_one_of_many"]

# Functions of scikit-learn that fit an estimator on a part of the rows. The fit that is kept in the
# end (refit=True) has none of them above it, unless the whole search is itself cross-validated.
FIT_ON_A_PART = frozenset(
    {
        "_fit_and_score",  # searches, cross_validate, cross_val_score, curves
        "_incremental_fit_estimator",  # learning_curve that goes on with partial_fit
        "_fit_and_predict",  # cross_val_predict
        "_permutation_test_score",
        "_fit_and_score_over_thresholds",  # TunedThresholdClassifierCV
        "_fit_classifier_calibrator_pair",  # CalibratedClassifierCV
        "_rfe_single_fit",  # RFECV
    }
)


def is_one_of_many() -> bool:
    """Tell whether a function of scikit-learn that fits again and again is at work in this thread.

    Its workers, threads and processes alike, call the same functions.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in FIT_ON_A_PART and _is_of_sklearn(frame):
            return True
        frame = frame.f_back
    return False


def _is_of_sklearn(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("sklearn.")
