"""Over-sampling partly with pure noise, as samplers of imbalanced-learn."""

from sklearn_open.over_sampling._appender import PureNoiseAppender, check_ratio
from sklearn_open.over_sampling._pure_noise import PureNoiseOverSampler, check_delta

__all__ = ["PureNoiseAppender", "PureNoiseOverSampler", "check_delta", "check_ratio"]
