"""Methods by name: the parameters that make one of the classifier."""

from __future__ import annotations

import copy
from typing import Any

from sklearn_open._checks import listed, near_names

__all__ = ["list_methods", "method_parameters"]

_OPEN = {"delta": 1 / 3}  # D.1

METHODS: dict[str, dict[str, Any]] = {
    "erm": {"resampler": None},
    "rs": {"delta": 0, "start_epoch": 0},
    "drs": {"delta": 0},
    "open": _OPEN,
    "open_all": {**_OPEN, "noise_grad": "all"},
    "open_aux": {**_OPEN, "norm": "aux"},
    "open_standard": {**_OPEN, "norm": "standard"},
}


def list_methods() -> list[str]:
    """Return the names of all methods.

    Returns
    -------
    list of str
        "erm": plain training. "rs", "drs": over-sampling with duplicates, from the first epoch or
        deferred. "open": deferred over-sampling partly with pure noise; "open_all" with gradients
        of noise for all weights (Eq. 13), "open_aux" and "open_standard" with the norms of the
        paper's Table 4.
    """
    return list(METHODS)


def method_parameters(name: str) -> dict[str, Any]:
    """Return the parameters of `OPeNClassifier` that make a method.

    Parameters
    ----------
    name : str
        One of `list_methods`.

    Returns
    -------
    dict of str to object
        A copy. What it does not name is as the classifier, or its recipe, has it.

    Raises
    ------
    ValueError
        If there is none of this name.

    Examples
    --------
    >>> from sklearn_open import OPeNClassifier
    >>> from sklearn_open.recipes import method_parameters
    >>> OPeNClassifier(**method_parameters("drs")).delta
    0
    """
    if name not in METHODS:
        near = near_names(str(name), METHODS)
        raise ValueError(f"There is no method {name!r}.{near} Use one of {listed(METHODS)}.")
    return copy.deepcopy(METHODS[name])
