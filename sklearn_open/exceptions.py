"""Errors and warnings of the package."""

__all__ = ["NoBatchNormWarning", "UnsupportedNormError"]


class UnsupportedNormError(TypeError):
    """A normalisation layer cannot be taught to route noise rows apart."""


class NoBatchNormWarning(UserWarning):
    """A network without batch norm was given to a method that works on its batch norm."""
