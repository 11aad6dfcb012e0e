"""Two stages: features first, then a head for imbalanced data, alone (cRT, LWS, MiSLAS, BALMS)."""

from sklearn_open.decoupling._decoupled import DecoupledClassifier
from sklearn_open.decoupling._meta_sampled import MetaSampledClassifier

__all__ = ["DecoupledClassifier", "MetaSampledClassifier"]
