"""
===================
Robustness to noise
===================

How fast accuracy falls when noise is added to test images, with and without pure noise in
training.
"""

# %%
# Noise is in units where pixels go from 0 to 255, whatever the range of the data (digits go from 0
# to 16), and what leaves the range is clipped. Dashed lines are the smallest 20% of the classes.
# In Fig. 6 of the paper, which has the same axes, models are *trained* with noise of each strength.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import make_long_tailed
from sklearn_open.inspection import NoiseRobustnessDisplay

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.images, digits.target, stratify=digits.target, test_size=0.3, random_state=0
)
X, y = make_long_tailed(X, y, imbalance_ratio=50, random_state=0)

fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name, resampling in {"plain training": {"resampler": None}, "OPeN": {"delta": 1 / 3}}.items():
    clf = OPeNClassifier(
        max_epochs=40,
        batch_size=64,
        start_epoch=0.5,
        lr_milestones=(0.5, 0.75),
        lr_decay=0.1,
        random_state=0,
        verbose=0,
        **resampling,
    ).fit(X, y)
    NoiseRobustnessDisplay.from_estimator(clf, X_test, y_test, name=name, ax=ax, random_state=0)

plt.show()
