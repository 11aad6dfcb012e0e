"""The version of the package."""

__version__ = "0.1.0.dev1"

__all__ = ["__version__"]
