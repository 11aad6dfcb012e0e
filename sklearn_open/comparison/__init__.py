"""Which method for these images: methods compared on the same folds, with what can be told.

`compare_methods` trains methods by name and returns a `MethodComparison`.
"""

from sklearn_open.comparison._candidates import DEFAULT_METHODS
from sklearn_open.comparison._compare import compare_methods
from sklearn_open.comparison._result import MethodComparison
from sklearn_open.comparison._statistics import PairedDifference, holm, paired_difference

__all__ = [
    "DEFAULT_METHODS",
    "MethodComparison",
    "PairedDifference",
    "compare_methods",
    "holm",
    "paired_difference",
]
