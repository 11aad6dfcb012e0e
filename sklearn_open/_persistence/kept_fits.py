"""Whole fits that are kept in `memory=`: a teacher, the first of two stages."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_memory

from sklearn_open._distributed.ranks import ALONE, Ranks
from sklearn_open._locks import file_lock
from sklearn_open._persistence.fingerprint import hash_of

__all__ = ["kept_fit"]


def kept_fit(
    memory: Any,
    facts: Any,
    fit: Callable[[], Any],
    raise_if_interrupted: Callable[[], None] = lambda: None,
    ranks: Ranks = ALONE,
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
    ranks : Ranks, default=ALONE
        That fit together; what rank 0 finds, all others get.

    Raises
    ------
    ValueError
        For facts that cannot be compared.
    """
    memory = check_memory(str(memory) if isinstance(memory, Path) else memory)
    if memory.location is None:
        return fit()

    def name() -> Path:
        folder = Path(memory.location)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"fit-{hash_of(facts)}"

    path = ranks.from_first(name)
    key = path.name.removeprefix("fit-")
    lock = path.with_suffix(".lock")
    fitted = memory.cache(_fitted, ignore=["fit"])
    return kept_or_made(ranks, lock, lambda make: fitted(key, make), fit, raise_if_interrupted)


def _fitted(key: str, fit: Callable[[], Any]) -> Any:
    """Fit; joblib keeps what is returned under `key`."""
    return fit()


def kept_or_made(
    ranks: Ranks,
    lock: Path,
    find: Callable[[Callable[[], Any]], Any],
    make: Callable[[], Any],
    raise_if_interrupted: Callable[[], None],
) -> Any:
    """Return what is kept in a place that many use, or what all ranks make together.

    Parameters
    ----------
    ranks : Ranks
        Rank 0 looks; the others wait for what it says, at any time: it says so that it waits.
    lock : path
        Held while it looks, and while it is made.
    find : callable
        Returns what is kept, or else what its argument makes; rank 0 calls it.
    make : callable
        Makes it, on all ranks.
    raise_if_interrupted : callable
        Ends waiting for the lock.
    """
    if ranks.rank > 0:
        while (told := ranks.hear()) is _WAITS:
            pass
        return make() if told is _MAKES else told

    def wait() -> None:
        ranks.tell(_WAITS)
        raise_if_interrupted()

    made = []

    def make_together() -> Any:
        ranks.tell(_MAKES)
        made.append(True)
        return make()

    with file_lock(lock, wait):
        found = find(make_together)
    if not made:
        ranks.tell(found)
    return found


class _Word(Enum):
    """What rank 0 tells the others, besides what it has found."""

    WAITS = 0
    MAKES = 1


_WAITS, _MAKES = _Word.WAITS, _Word.MAKES
