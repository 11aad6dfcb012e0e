"""Tabular to image with pyDeepInsight: a pipeline, searched over delta, against a balanced forest.

pyDeepInsight's ImageTransformer gives every column of a table a pixel, near the pixels of columns
like it, so that a CNN can learn from a table. Here it stands between a scaler and OPeNClassifier in
one pipeline, and a grid search chooses `delta`, the share of noise, inside of every outer fold.

The table is scikit-learn's breast cancer data (569 tumours, 30 columns). It is cut into five
stratified folds; of every training part only 24 of the 170 malignant tumours are kept (12 benign
ones to one malignant), while test parts stay whole, so that scores rest on 212 malignant tumours.
imbalanced-learn's BalancedRandomForestClassifier, and a logistic regression with balanced class
weights, get the same rows as a table. Nothing was tuned on these folds: the network's settings are
those of the quick start.

    pip install "pyDeepInsight[cam]"      # it cannot be imported without its extra
    python examples/tabular_to_image_deepinsight.py --json results.json

takes about two minutes on one CPU core.
"""

from __future__ import annotations

import numpy as np
import tabular_comparison
from pyDeepInsight import ImageTransformer
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.manifold import TSNE
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_open import OPeNClassifier


class DeepInsight(TransformerMixin, BaseEstimator):
    """Table (n, n_features) to images (n, pixels, pixels), each feature at a pixel of its own.

    A thin face on ImageTransformer, which cannot be a step of a pipeline itself: its fit_transform
    takes no y, and it has no parameters to get, set or clone.
    """

    def __init__(self, pixels: int = 8, perplexity: float = 5, random_state: int | None = 0):
        self.pixels = pixels
        self.perplexity = perplexity
        self.random_state = random_state

    def fit(self, X, y=None):
        """Place the features: similar ones are near each other."""
        embedding = TSNE(
            metric="cosine", perplexity=self.perplexity, random_state=self.random_state
        )
        # "lsa", linear sum assignment: no two features share a pixel
        transformer = ImageTransformer(embedding, discretization="lsa", pixels=self.pixels)
        self.transformer_ = transformer.fit(np.asarray(X))
        return self

    def transform(self, X):
        """Write the values of every row to their pixels; pixels without a feature are 0."""
        return self.transformer_.transform(np.asarray(X), img_format="scalar")


def make_pipeline(epochs: int = 60) -> Pipeline:
    """Return scaler, image maker and classifier as one estimator."""
    clf = OPeNClassifier(
        max_epochs=epochs,
        batch_size=64,
        start_epoch=0.5,
        lr_milestones=(0.5, 0.75),
        lr_decay=0.1,
        random_state=0,
        verbose=0,
    )
    # Values beyond those of the training rows are clipped: pixels lie in [0, 1].
    return Pipeline([("scale", MinMaxScaler(clip=True)), ("image", DeepInsight()), ("clf", clf)])


def main(argv: list[str] | None = None) -> None:
    """Run the comparison from the command line."""
    tabular_comparison.main(
        make_pipeline, "tabular_to_image_deepinsight.py", ("pyDeepInsight",), argv
    )


if __name__ == "__main__":
    tabular_comparison.end_at_once_when_asked()
    main()
