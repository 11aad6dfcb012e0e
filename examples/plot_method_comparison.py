"""
==========================
Which method for my images
==========================

Methods for imbalanced data, trained and tested on the same folds. For a folder of images of your
own it is one command, ``python -m sklearn_open compare FOLDER``.
"""

# %%
# Data
# ----
# Digits, made long-tailed: 178 images of the largest class, 8 of the smallest.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from sklearn_open.comparison import compare_methods
from sklearn_open.datasets import make_long_tailed
from sklearn_open.inspection import MethodComparisonDisplay
from sklearn_open.recipes import make_classifier

digits = load_digits()
X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=20, random_state=0)

# %%
# Comparison
# ----------
# What methods have in common, the estimator says: network and schedule. Their first epochs are the
# same and are trained once a fold; `logit_adjusted` is tried on the fit of `erm`.

base = make_classifier("folder", "erm", max_epochs=30, random_state=0, verbose=0)
found = compare_methods(
    base,
    X,
    y,
    methods=["erm", "logit_adjusted", "drs", "open", ("open", {"logit_adjustment": 0.5})],
    cv=3,
    refit=False,
)
print(found)

# %%
# The picture
# -----------
# On the left a line joins what methods reach on one fold: where lines run alike, methods differ in
# the same way on all folds, however much folds differ. On the right is the accuracy by class size.

MethodComparisonDisplay.from_comparison(found)

plt.show()
