"""Layers and routing: train one network on natural and noise images.

`convert_norm` turns a network's batch norm into DAR-BN, or into a norm that it is compared with;
`forward_mixed` (or `noise_route`, by hand) calls it on noise. `sklearn_open.OPeNClassifier` does
both for you.
"""

from sklearn_open.nn._aux_bn import AuxNorm
from sklearn_open.nn._convert import convert_norm, revert_norm
from sklearn_open.nn._dar_bn import (
    DARBatchNorm1d,
    DARBatchNorm2d,
    DARBatchNorm3d,
    DARNorm,
    DARSyncBatchNorm,
)
from sklearn_open.nn._routed import RoutedNorm
from sklearn_open.nn._routing import forward_mixed, noise_route
from sklearn_open.nn._standard_bn import StandardNorm

__all__ = [
    "AuxNorm",
    "DARBatchNorm1d",
    "DARBatchNorm2d",
    "DARBatchNorm3d",
    "DARNorm",
    "DARSyncBatchNorm",
    "RoutedNorm",
    "StandardNorm",
    "convert_norm",
    "forward_mixed",
    "noise_route",
    "revert_norm",
]
