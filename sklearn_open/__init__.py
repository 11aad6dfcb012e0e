"""Oversampling with pure noise images (OPeN) and DAR-BN, for scikit-learn."""

from sklearn_open._persistence.pickles import explain_missing_modules
from sklearn_open._version import __version__
from sklearn_open.classifier import OPeNClassifier
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler

__all__ = ["OPeNClassifier", "PureNoiseOverSampler", "__version__"]

explain_missing_modules()
