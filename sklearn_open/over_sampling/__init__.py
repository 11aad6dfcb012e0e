"""Over-sampling with pure noise, or with translated images, as samplers of imbalanced-learn."""

from sklearn_open.over_sampling._appender import PureNoiseAppender, check_ratio
from sklearn_open.over_sampling._m2m import M2mOverSampler
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler, check_delta

__all__ = [
    "M2mOverSampler",
    "PureNoiseAppender",
    "PureNoiseOverSampler",
    "check_delta",
    "check_ratio",
]
