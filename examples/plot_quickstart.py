"""
===========
Quick start
===========

Train on long-tailed digits with and without pure noise images, and choose the noise ratio by
cross-validation. The whole script takes less than a minute on two CPU cores.
"""

# %%
# A long-tailed data set
# ----------------------
# scikit-learn's digits are 8x8 images of ten classes of equal size. The training part is cut
# down so that the largest class has about 50 times as many images as the smallest; the test part
# stays balanced.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import make_long_tailed
from sklearn_open.metrics import equal_group_accuracy

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.images, digits.target, stratify=digits.target, test_size=0.3, random_state=0
)
X, y = make_long_tailed(X, y, imbalance_ratio=50, random_state=0)
print("training images per class:", np.bincount(y))

# %%
# Two classifiers
# ---------------
# They differ in one parameter. `resampler=None` is plain training. The default over-samples the
# small classes in the last half of the epochs, and a third of what it adds is pure noise. The
# schedule is for 60 epochs; the defaults are the paper's, for 200.

settings = {
    "max_epochs": 60,
    "batch_size": 64,
    "start_epoch": 0.5,
    "lr_milestones": (0.5, 0.75),
    "lr_decay": 0.1,
    "random_state": 0,
    "verbose": 0,
}
plain = OPeNClassifier(resampler=None, **settings).fit(X, y)
noisy = OPeNClassifier(delta=1 / 3, **settings).fit(X, y)

# %%
# What an epoch is made of
# ------------------------
# `epoch_plan` tells which rows an epoch sees, which of them as noise, and in which batch.
# Before `start_epoch` there is no noise.

for epoch in (0, 30):
    plan = noisy.epoch_plan(epoch)
    print(f"\nepoch {epoch}: {plan.n_batches} batches, {plan.noise_share:.0%} of the rows noise")
    print("  natural rows per class:", np.bincount(y[plan.index[~plan.is_noise]], minlength=10))
    print("  noise rows per class:  ", np.bincount(y[plan.index[plan.is_noise]], minlength=10))

# %%
# Accuracy by class size
# ----------------------
# The first group is the 20% of classes with the fewest training images. This is one run; the
# demonstration (`python -m sklearn_open`) repeats it with three seeds.

accuracy = {}
for name, clf in {"plain training": plain, "OPeN, delta=1/3": noisy}.items():
    y_pred = clf.predict(X_test)
    accuracy[name] = 100 * equal_group_accuracy(y_test, y_pred, y_train=y)
    print(f"\n{name}: {100 * np.mean(y_pred == y_test):.1f}% of all test images right")
    print("  by class group, smallest first:", accuracy[name].round(1))

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for shift, (name, values) in zip((-0.2, 0.2), accuracy.items(), strict=True):
    ax.bar(np.arange(5) + shift, values, width=0.4, label=name)
ax.set_xticks(np.arange(5), ["smallest 20%", "20-40%", "40-60%", "60-80%", "largest 20%"])
ax.set(xlabel="classes by training size", ylabel="test accuracy, %", ylim=(0, 105))
ax.legend(loc="lower right")

# %%
# Choose the noise ratio
# ----------------------
# `delta` is a parameter like any other. The smallest class has two images, one for each half, so
# a search on so little data says little: on your own data, leave more images in each fold.

search = GridSearchCV(
    OPeNClassifier(**settings),
    {"delta": [0, 1 / 3, 2 / 3]},
    cv=StratifiedKFold(2, shuffle=True, random_state=0),
    scoring="balanced_accuracy",
).fit(X, y)

print("\nbalanced accuracy in cross-validation")
for params, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"  delta={params['delta']:.2f}: {100 * score:.1f}%")
print(f"refitted with delta={search.best_params_['delta']:.2f}: ", end="")
print(f"{100 * search.score(X_test, y_test):.1f}% on the test images")

plt.show()
