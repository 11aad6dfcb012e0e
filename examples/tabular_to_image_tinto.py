"""Tabular to image with TINTOlib: a pipeline, searched over delta, against a balanced forest.

TINTO gives every column of a table a place in an image, near those of columns like it, and blurs
the values into their neighbourhood, so that a CNN can learn from a table. TINTOlib writes images to
a folder; a small transformer here reads them back, and stands between a scaler and OPeNClassifier
in one pipeline. A grid search chooses `delta`, the share of noise, inside of every outer fold.

The table is scikit-learn's breast cancer data (569 tumours, 30 columns). It is cut into five
stratified folds; of every training part only 24 of the 170 malignant tumours are kept (12 benign
ones to one malignant), while test parts stay whole, so that scores rest on 212 malignant tumours.
imbalanced-learn's BalancedRandomForestClassifier, and a logistic regression with balanced class
weights, get the same rows as a table. Nothing was tuned on these folds: the settings are those of
the quick start and of TINTO, but for a network of half the width, 16 pixels a side, not 20, to save
time, and blurring, without which pixels between the columns' own stay empty.

    pip install TINTOlib
    python examples/tabular_to_image_tinto.py --json results.json

takes two to three minutes on one CPU core.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import tabular_comparison
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from TINTOlib.tinto import TINTO

from sklearn_open import OPeNClassifier
from sklearn_open.backbones import SmallCNN


class TintoImages(TransformerMixin, BaseEstimator):
    """Table (n, n_features) to images (n, pixels, pixels), by way of a temporary folder.

    TINTOlib's classes take data frames, write one file per row and return nothing. Format "npy"
    keeps the values as they are; "png" would round them and make three colour channels.
    """

    def __init__(self, pixels: int = 16, random_state: int = 0):
        self.pixels = pixels
        self.random_state = random_state

    def fit(self, X, y=None):
        """Place the features: similar ones are near each other."""
        self.tinto_ = TINTO(
            problem="unsupervised",  # labels would only name folders
            transformer=None,  # the pipeline has a scaler
            pixels=self.pixels,
            blur=True,
            format="npy",
            random_seed=self.random_state,
        )
        self.tinto_.fit(pd.DataFrame(X))
        return self

    def transform(self, X):
        """Draw one image per row."""
        with tempfile.TemporaryDirectory() as folder:
            self.tinto_.transform(pd.DataFrame(X), folder)
            # names are row numbers with leading zeros: six digits, for up to a million rows
            files = sorted(Path(folder, "images").glob("*.npy"))
            return np.stack([np.load(file) for file in files])


def make_pipeline(epochs: int = 60) -> Pipeline:
    """Return scaler, image maker and classifier as one estimator."""
    clf = OPeNClassifier(
        SmallCNN,
        module__width=16,
        max_epochs=epochs,
        batch_size=64,
        start_epoch=0.5,
        lr_milestones=(0.5, 0.75),
        lr_decay=0.1,
        random_state=0,
        verbose=0,
    )
    # Values beyond those of the training rows are clipped: pixels lie in [0, 1].
    return Pipeline([("scale", MinMaxScaler(clip=True)), ("image", TintoImages()), ("clf", clf)])


def main(argv: list[str] | None = None) -> None:
    """Run the comparison from the command line."""
    tabular_comparison.main(
        make_pipeline, "tabular_to_image_tinto.py", ("TINTOlib", "pandas"), argv
    )


if __name__ == "__main__":
    tabular_comparison.end_at_once_when_asked()
    main()
