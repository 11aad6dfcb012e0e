"""The parameters of a class in full, with those that it hands on to its bases by ``**kwargs``."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["complete_signature", "defaults"]


def defaults(cls: type) -> dict[str, Any]:
    """Return the parameters that a class and its bases take by name, with their defaults."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__[:-1]):
        if "__init__" in vars(base):
            parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
            named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
            found |= {p.name: p.default for p in named if p.name != "self"}
    return found


def complete_signature(cls: Any) -> None:
    """Let the signature of a class's `__init__` name what ``**kwargs`` takes for its bases.

    scikit-learn prints the parameters that differ from the defaults found there, for which all
    others count as given. The class itself keeps the signature that was written.
    """
    init = vars(cls).get("__init__")
    if not inspect.isfunction(init):
        return
    written = inspect.signature(init)
    this, *own = written.parameters.values()
    cls.__signature__ = written.replace(parameters=own)
    if own and own[-1].kind is inspect.Parameter.VAR_KEYWORD:
        handed_on = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in defaults(cls).items()
            if name not in written.parameters
        ]
        full = written.replace(parameters=[this, *own[:-1], *handed_on, own[-1]])
        setattr(init, "__signature__", full)  # noqa: B010 (functions may have attributes)
