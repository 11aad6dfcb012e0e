"""
=================================
Large classes against small ones
=================================

Any classifier gives small classes more when its predictions are divided by the class shares. What
does a method do beyond that?
"""

# %%
# Dividing probabilities by the shares of the classes, to a power `tau`, costs no training: see
# `sklearn_open.calibration`. Each curve shows one method as `tau` grows from 0 (square) to 2. What
# only moves along the curve of plain training could be had by a `tau` instead. A curve that lies
# further to the upper right is that of a method which has learnt more about small classes.
#
# The same over-sampling without noise is the third: what lies between it and OPeN is the noise.
# Each is trained three times; the mean is drawn, with standard deviations as bars. Both lie beyond
# plain training. Of one another the bars do not tell them apart: digits are few, and easy.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import make_long_tailed
from sklearn_open.inspection import HeadTailTradeOffDisplay, head_tail_trade_off

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.images, digits.target, stratify=digits.target, test_size=0.5, random_state=0
)
X, y = make_long_tailed(X, y, imbalance_ratio=50, random_state=0)

methods = {
    "plain training": {"resampler": None},
    "over-sampling": {"delta": 0.0},
    "OPeN": {"delta": 1 / 3},
}
fig, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
for name, method in methods.items():
    curves = []
    for seed in range(3):
        clf = OPeNClassifier(
            max_epochs=30,
            batch_size=64,
            start_epoch=0.5,
            lr_milestones=(0.5, 0.75),
            lr_decay=0.1,
            random_state=seed,
            verbose=0,
            **method,
        ).fit(X, y)
        curves.append(head_tail_trade_off(clf, X_test, y_test))
    runs = {
        key: np.array([curve[key] for curve in curves])
        for key in ("large_class_accuracy", "small_class_accuracy", "accuracy")
    }
    HeadTailTradeOffDisplay(curves[0].taus, **runs, name=name).plot(ax=ax)

plt.show()
