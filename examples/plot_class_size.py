"""
==============================
Results and data by class size
==============================

What a long-tailed data set is rebalanced to, how training goes for small and for large classes,
and what comes out for them.
"""

# %%
# What rebalancing does
# ---------------------
# No training is needed to see what `delta` means: every class is filled up to the largest, and
# that share of what is added is pure noise (Fig. 2 of the paper).

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_open import OPeNClassifier
from sklearn_open.callbacks import GroupAccuracy
from sklearn_open.datasets import make_long_tailed
from sklearn_open.inspection import (
    ClassGroupAccuracyDisplay,
    RebalancedCompositionDisplay,
    TrainingCurvesDisplay,
)

digits = load_digits()
names = np.array("zero one two three four five six seven eight nine".split())
X, X_test, y, y_test = train_test_split(
    digits.images, names[digits.target], stratify=digits.target, test_size=0.3, random_state=0
)
X, y = make_long_tailed(X, y, imbalance_ratio=50, random_state=0)

fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
for ax, delta in zip(axes, (1 / 3, 2 / 3), strict=True):
    RebalancedCompositionDisplay.from_labels(y, delta=delta, ax=ax)
    ax.set_title(f"delta = {delta:.2f}", loc="left")

# %%
# How training goes
# -----------------
# The callback `GroupAccuracy` records accuracy and loss of five groups of classes after every
# epoch. The jump of the training loss at the vertical line is the noise: from there on a quarter of
# each batch cannot be told.

settings = {
    "max_epochs": 40,
    "batch_size": 64,
    "start_epoch": 0.5,
    "lr_milestones": (0.5, 0.75),
    "lr_decay": 0.1,
    "random_state": 0,
    "verbose": 0,
}
noisy = OPeNClassifier(callbacks=[GroupAccuracy(X_test, y_test)], **settings).fit(X, y)
TrainingCurvesDisplay.from_estimator(noisy)

# %%
# What comes out
# --------------
# Accuracy by class size (Fig. 7) of two models in one picture. One run on so few images decides
# nothing; the demonstration (`python -m sklearn_open`) repeats it.

plain = OPeNClassifier(resampler=None, **settings).fit(X, y)

fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for offset, (name, clf) in zip(
    (-0.2, 0.2), {"plain training": plain, "OPeN": noisy}.items(), strict=True
):
    ClassGroupAccuracyDisplay.from_estimator(
        clf, X_test, y_test, name=name, ax=ax, offset=offset, width=0.4
    )

plt.show()
