"""Oversampling with pure noise images (OPeN) and DAR-BN, for scikit-learn."""

__version__ = "0.1.0.dev0"
