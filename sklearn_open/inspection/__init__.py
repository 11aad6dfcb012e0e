"""Pictures of data, batches, networks and results, as scikit-learn's displays.

Each display has a function beside it, or in `sklearn_open.metrics`, that computes its numbers.
Drawing needs matplotlib, which is not imported before.
"""

from sklearn_open.inspection._activations import (
    ActivationDistributionDisplay,
    activation_distribution,
)
from sklearn_open.inspection._batch import BatchDisplay, batch_images
from sklearn_open.inspection._class_group_accuracy import ClassGroupAccuracyDisplay
from sklearn_open.inspection._composition import (
    RebalancedCompositionDisplay,
    rebalanced_composition,
)
from sklearn_open.inspection._gradients import GradientDisplay, class_gradients
from sklearn_open.inspection._head_tail_trade_off import (
    HeadTailTradeOffDisplay,
    head_tail_trade_off,
)
from sklearn_open.inspection._method_comparison import MethodComparisonDisplay
from sklearn_open.inspection._noise_robustness import NoiseRobustnessDisplay, noise_robustness
from sklearn_open.inspection._training_curves import TrainingCurvesDisplay, training_curves

__all__ = [
    "ActivationDistributionDisplay",
    "BatchDisplay",
    "ClassGroupAccuracyDisplay",
    "GradientDisplay",
    "HeadTailTradeOffDisplay",
    "MethodComparisonDisplay",
    "NoiseRobustnessDisplay",
    "RebalancedCompositionDisplay",
    "TrainingCurvesDisplay",
    "activation_distribution",
    "batch_images",
    "class_gradients",
    "head_tail_trade_off",
    "noise_robustness",
    "rebalanced_composition",
    "training_curves",
]
