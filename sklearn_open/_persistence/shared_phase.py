"""The epochs before `start_epoch`, which fits that differ only in what happens later share.

Those epochs are plain training whatever `delta` is. With ``memory=`` the first fit leaves the state
it reached in a folder, and the others take it from there, bit for bit what they would have reached.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_memory

from sklearn_open._inputs.lazy import LazyImages
from sklearn_open._persistence.fingerprint import (
    comparable,
    compared_params,
    hash_of,
    machine_facts,
    rows_digest,
)
from sklearn_open._persistence.kept_fits import kept_or_made
from sklearn_open._persistence.state import dump_state, restore_state
from sklearn_open._protocols import Parts, TrainingNet
from sklearn_open._warnings import warn_user
from sklearn_open.batching._dataset import ImageDataset, TrainSet
from sklearn_open.losses._deferred import before_start
from sklearn_open.nn._aux_groups import ordinary_norm

__all__ = ["SharedPhase"]


class SharedPhase:
    """The first epochs of one fit.

    Parameters
    ----------
    net : OPeNClassifier
        Initialised, not yet trained.
    train : TrainSet
        Rows to train on.
    valid : ImageDataset or None
        Rows held out.
    n_epochs : int
        How many epochs other fits may share.
    raise_if_interrupted : callable
        Ends waiting for another fit.

    Raises
    ------
    ValueError
        For data sets that are read while training, and for parts that cannot be kept in a file.
    """

    def __init__(
        self,
        net: TrainingNet,
        train: TrainSet,
        valid: ImageDataset | None,
        n_epochs: int,
        raise_if_interrupted: Callable[[], None],
    ) -> None:
        self.net = net
        self.train = train
        self.valid = valid
        self.n_epochs = n_epochs
        self.raise_if_interrupted = raise_if_interrupted
        self.memory = check_memory(_path_as_text(net.memory))

    def run(self, train: Callable[[], Any]) -> None:
        """Bring the net to the end of the phase, by `train` or from memory.

        Nothing is done where nothing can be shared: the net then trains these epochs with the rest.
        """
        if self.n_epochs == 0 or self.memory.location is None:
            return
        ranks = self.net.ranks_
        if self.net.random_state is None:
            warn_user(
                "memory= has no effect with random_state=None: every fit starts from weights of "
                "its own. Set random_state to share the epochs before start_epoch."
            )
            return
        path = ranks.from_first(self._path)
        reach = self.memory.cache(_reach, ignore=["phase", "train"])
        # Of fits that need the same phase at the same time, one trains it and the others wait. The
        # system frees the lock of a process that was killed.
        state = kept_or_made(
            ranks,
            path.with_suffix(".lock"),
            lambda make: reach(path.name.removeprefix("phase-"), self, make),
            train,
            self.raise_if_interrupted,
        )
        if len(self.net.history) == 0:
            with self._ordinary_norm():
                restore_state(self.net, state, self._parts)
            if self.net.verbose:
                print(f"Epochs 1 to {self.n_epochs} were taken from {self.memory.location}.")

    def _path(self) -> Path:
        """Return the path of this phase's lock, without its suffix."""
        path = Path(self.memory.location) / f"phase-{self.key()}"
        self.state()  # what cannot be kept fails now, not after hours of training
        path.parent.mkdir(parents=True, exist_ok=True)
        _tell_of_earlier_versions(path.parent)
        return path

    def state(self) -> bytes:
        """Return the state that the net has reached, as any net that shares the phase can use it.

        Raises
        ------
        ValueError
            If a part of it cannot be pickled.
        """
        with self._ordinary_norm():
            return dump_state(self.net, self._parts)

    @property
    def _parts(self) -> Parts:
        """What is trained in the phase: of a deferred loss, the early one."""
        parts = self.net.parts_
        criteria = {name: before_start(loss) for name, loss in parts.criteria.items()}
        return replace(parts, criteria=criteria)

    @property
    def _is_scored(self) -> bool:
        """Whether the history may hold scores of predictions."""
        return self.valid is not None or bool(self.net.get_params(deep=False)["callbacks"])

    def _ordinary_norm(self) -> AbstractContextManager[None]:
        net = self.net
        optimizers = list(net.parts_.optimizers.values())
        return ordinary_norm(net.module_, optimizers, net.norm, net.noise_grad)

    def key(self) -> str:
        """Return a name for all that the state at the end of the phase depends on."""
        net = self.net
        if isinstance(self.train.X, LazyImages):
            raise ValueError(
                "memory= compares training images, and X is a data set that is read while "
                "training. Pass an array (sklearn_open.datasets.load_image_folder makes one), or "
                "memory=None."
            )
        with self._ordinary_norm():
            network = comparable(net.module_)
        facts = {
            "class": type(net),  # a subclass may train otherwise
            "epochs": self.n_epochs,
            "seed": net.seed_,
            "params": compared_params(net, "shared"),
            "network": network,
            "criteria": {n: comparable(loss) for n, loss in self._parts.criteria.items()},
            "scored by": net.logit_adjustment if self._is_scored else None,
            "rows": [rows_digest(self.train, self.n_rows), self.valid and rows_digest(self.valid)],
            "machine": machine_facts(net.device_),
        }
        return hash_of(facts)

    @property
    def n_rows(self) -> int:
        """Number of original rows; synthetic ones, behind them, play no part in the phase."""
        return len(self.train.planner.codes)


def _reach(key: str, phase: SharedPhase, train: Callable[[], Any]) -> bytes:
    """Train the phase; joblib keeps what is returned under `key`."""
    train()
    return phase.state()


def _tell_of_earlier_versions(folder: Path) -> None:
    old = folder / "joblib" / "sklearn_open" / "_shared_phase"
    if old.exists():
        warn_user(
            f"memory={str(folder)!r} holds epochs that an earlier sklearn_open has kept. They are "
            f"not read: other versions round differently. To free the room, delete {str(old)!r}."
        )


def _path_as_text(memory: Any) -> Any:
    return str(memory) if isinstance(memory, Path) else memory
