"""Layers and routing: train one network on natural and noise images.

`convert_norm` turns a network's batch norm into DAR-BN; `forward_mixed` (or `noise_route`, by
hand) calls it on noise. `sklearn_open.OPeNClassifier` does both for you.
"""

from sklearn_open.nn._convert import convert_norm, revert_norm
from sklearn_open.nn._dar_bn import (
    DARBatchNorm1d,
    DARBatchNorm2d,
    DARBatchNorm3d,
    DARNorm,
    DARSyncBatchNorm,
)
from sklearn_open.nn._routing import forward_mixed, noise_route

__all__ = [
    "DARBatchNorm1d",
    "DARBatchNorm2d",
    "DARBatchNorm3d",
    "DARNorm",
    "DARSyncBatchNorm",
    "convert_norm",
    "forward_mixed",
    "noise_route",
    "revert_norm",
]
