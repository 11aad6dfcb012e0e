"""
==================================
What noise does inside the network
==================================

Activations with plain batch norm and with DAR-BN, and the gradients of each class.
"""

# %%
# A network to look into
# ----------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import make_long_tailed
from sklearn_open.inspection import ActivationDistributionDisplay, GradientDisplay

digits = load_digits()
X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=50, random_state=0)

clf = OPeNClassifier(
    max_epochs=40,
    batch_size=64,
    start_epoch=0.5,
    lr_milestones=(0.5, 0.75),
    lr_decay=0.1,
    random_state=0,
    verbose=0,
).fit(X, y)

# %%
# Activations
# -----------
# Noise images are unlike natural ones in every layer (Fig. 5). Plain batch norm, which normalises
# all rows of a batch together, leaves the two as far apart as they were; DAR-BN normalises each
# kind by itself (Fig. 4). The title tells how much of the two areas is shared.

ActivationDistributionDisplay.from_estimator(clf, X[::5], layer=-1, channel=0, random_state=0)

# %%
# All channels together hide most of it: what is larger in one channel is smaller in another.

ActivationDistributionDisplay.from_estimator(clf, X[::5], layer=-1, random_state=0)

# %%
# Gradients
# ---------
# Section 3.3 of the paper explains the method by the gradient that each class gives: with noise
# in the place of duplicates it is larger, and its direction varies more, the more so the smaller
# the class. Here the two are compared on the same batches, weights and classes.

display = GradientDisplay.from_estimator(clf, X, y)

# %%
# By default noise trains only what lies behind the last norm layer. With ``noise_grad="all"`` its
# gradients reach the whole network.

whole = GradientDisplay.from_estimator(clf, X, y, noise_grad="all")

for name, numbers in {"head": display, "all": whole}.items():
    magnitude = np.nanmean(numbers.magnitude, axis=1)
    variance = np.nanmean(numbers.direction_variance, axis=1)
    print(
        f"noise_grad={name!r}: magnitude x {magnitude[1] / magnitude[0]:.1f}, "
        f"variance of direction x {variance[1] / variance[0]:.1f}"
    )

plt.show()
