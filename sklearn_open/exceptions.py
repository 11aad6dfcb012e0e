"""Errors and warnings of the package."""

__all__ = [
    "CheckpointError",
    "NoBatchNormWarning",
    "RankEndedError",
    "SavedFileError",
    "TrainingDivergedError",
    "UnsupportedNormError",
]


class UnsupportedNormError(TypeError):
    """A normalisation layer cannot be taught to route noise rows apart."""


class NoBatchNormWarning(UserWarning):
    """A network without batch norm was given to a method that works on its batch norm."""


class TrainingDivergedError(ArithmeticError):
    """The loss, or a weight, became NaN or infinite; the last good weights are kept."""


class CheckpointError(ValueError):
    """A checkpoint belongs to another training, or cannot be read or written."""


class RankEndedError(RuntimeError):
    """Another rank of a training on several ranks has ended, and the training with it."""


class SavedFileError(ValueError):
    """A file is not one that `OPeNClassifier.save` wrote, or was changed since."""
