"""Whole fits that are kept in `memory=`: a teacher, the first of two stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_memory

from sklearn_open._locks import file_lock
from sklearn_open._persistence.fingerprint import hash_of

__all__ = ["kept_fit"]


def kept_fit(
    memory: Any,
    facts: Any,
    fit: Callable[[], Any],
    raise_if_interrupted: Callable[[], None] = lambda: None,
) -> Any:
    """Return what `fit` returns, from `memory` where it lies there.

    Parameters
    ----------
    memory : None, str, path or joblib.Memory
        None keeps nothing.
    facts : object
        All that the fit depends on, see `comparable`.
    fit : callable
        Returns something that can be pickled.
    raise_if_interrupted : callable
        Ends waiting for another process that has the same fit in work.

    Raises
    ------
    ValueError
        For facts that cannot be compared.
    """
    memory = check_memory(str(memory) if isinstance(memory, Path) else memory)
    if memory.location is None:
        return fit()
    key = hash_of(facts)
    folder = Path(memory.location)
    folder.mkdir(parents=True, exist_ok=True)
    with file_lock(folder / f"fit-{key}.lock", raise_if_interrupted):
        return memory.cache(_fitted, ignore=["fit"])(key, fit)


def _fitted(key: str, fit: Callable[[], Any]) -> Any:
    """Fit; joblib keeps what is returned under `key`."""
    return fit()
