"""A sentence for pickles, of estimators or of what they hold, that another version wrote.

Pickles name the modules of what they hold, private ones included, so they end with the version that
wrote them. Python says of such a file that a module is missing; what to do is said here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["explain_missing_modules"]

PACKAGE = "sklearn_open"
FORMERLY_PUBLIC = {
    f"{PACKAGE}.appending": f"{PACKAGE}.over_sampling",
    f"{PACKAGE}.batch_transform": f"{PACKAGE}.batching",
}


class _Explanation:
    """The last of the finders of modules: it is asked for those that no other has found."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise ModuleNotFoundError for a private module that is not there (any more)."""
        if name.startswith(f"{PACKAGE}._") or name in FORMERLY_PUBLIC:
            now = FORMERLY_PUBLIC.get(name)
            instead = f" What was in it is in {now}." if now else ""
            raise ModuleNotFoundError(
                f"{PACKAGE} has no module {name!r}.{instead} If this came from a pickle (pickle, "
                "joblib or a cluster's worker): pickles are read by the version that wrote them "
                "only. Fit again; or install that version, write the estimator to a file with "
                "clf.save(path), and read it here with OPeNClassifier.load(path).",
                name=name,
            )
        return None


def explain_missing_modules() -> None:
    """Let Python say what to do about modules of other versions."""
    if _Explanation not in sys.meta_path:
        sys.meta_path.append(_Explanation)
