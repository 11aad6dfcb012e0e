"""
=====================
What the network sees
=====================

The images of a training batch: natural or augmented, and pure noise. They are made just as
training makes them, so looking at them before a long training is well spent time.
"""

# %%
# A batch with noise
# ------------------
# The estimator need not be fitted. Images are back in the units of the data; the title counts the
# batch, of which some rows are shown.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import make_long_tailed
from sklearn_open.inspection import BatchDisplay

digits = load_digits()
X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=20, random_state=0)

BatchDisplay.from_estimator(OPeNClassifier(random_state=0), X, y)

# %%
# An augmentation that does not fit
# ---------------------------------
# "flip_crop" is made for images of 32 pixels a side: it shifts by up to four pixels and mirrors.
# Of digits with 8 pixels a side it leaves little, which the accuracy alone would not explain.

augmented = OPeNClassifier(augment="flip_crop", random_state=0)
BatchDisplay.from_estimator(augmented, X, y)

# %%
# Before `start_epoch`
# --------------------
# Any epoch and batch can be looked at. Early ones hold no noise, and mostly the largest classes.

BatchDisplay.from_estimator(OPeNClassifier(random_state=0), X, y, epoch=0, n_images=16)

plt.show()
