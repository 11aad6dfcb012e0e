"""A folder in which a training that dies is found again, epoch by epoch.

On several ranks, rank 0 reads and writes it; what it finds, or cannot do, all others are told.

Random numbers depend on nothing but what they are for (`_random`), so the state at the end of an
epoch is all that the next epoch needs: a fit that goes on from it gives the same bits as one that
never stopped.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sklearn_open._checks import shortened
from sklearn_open._persistence.atomic import TEMPORARY, full_path, write_atomically
from sklearn_open._persistence.fingerprint import (
    compared_params,
    data_digest,
    hash_of,
    machine_facts,
    settled_params,
    structure,
)
from sklearn_open._persistence.state import dump_state, restore_state
from sklearn_open._protocols import TrainingNet
from sklearn_open._warnings import warn_user
from sklearn_open.batching._dataset import ImageDataset, TrainSet
from sklearn_open.exceptions import CheckpointError

__all__ = ["Checkpoints"]

MAGIC = b"sklearn_open checkpoint\n"
FORMAT = 2  # 1 named modules that have moved since
NAME = r"epoch-\d{6,}\.ckpt"
KEPT = 2  # the newest ones; should one be unreadable, there is another


class Checkpoints:
    """The checkpoints of one fit; a context, in which no other fit may use the folder.

    Parameters
    ----------
    net : OPeNClassifier
        Initialised, not yet trained.

    Raises
    ------
    CheckpointError
        When the folder cannot be used.
    """

    def __init__(self, net: TrainingNet) -> None:
        self.net = net
        self.folder = full_path(net.checkpoint)
        self._lock: FileLock | None = None

    def __enter__(self) -> Checkpoints:
        self.net.ranks_.from_first(self._open)
        return self

    def _open(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / "in-use.lock", timeout=0)
            self._lock.acquire()  # the system frees the lock of a process that was killed
        except Timeout:
            raise CheckpointError(
                f"another training is using checkpoint={str(self.folder)!r}. Give each its own "
                "folder. The fits of a search share one folder and cannot use checkpoint=."
            ) from None
        except OSError as error:
            raise self._unwritable(error) from error
        for left_over in self.folder.glob(f"epoch-*.ckpt.*{TEMPORARY}"):
            left_over.unlink(missing_ok=True)

    def __exit__(self, *error: Any) -> None:
        if self._lock is not None:
            self._lock.release()

    # --- resuming ---

    def take_seed(self) -> None:
        """Give a net with ``random_state=None`` the seed that the training began with."""
        if self.net.random_state is None:
            self.net.seed_ = self.net.ranks_.from_first(self._seed)

    def _seed(self) -> int:
        found = self._newest()
        return self.net.seed_ if found is None else int(found[0]["seed"])

    def resume(self, train: TrainSet, valid: ImageDataset | None) -> None:
        """Bring the net to where the newest checkpoint left it; if there is none, write the first.

        Raises
        ------
        CheckpointError
            When the checkpoint belongs to other data or parameters, or none can be read.
        """
        state = self.net.ranks_.from_first(lambda: self._state(train, valid))
        if state is None:
            self.write()
            return
        restore_state(self.net, state)
        if self.net.verbose:
            print(f"Training goes on after epoch {len(self.net.history)}, from {self.folder}.")

    def _state(self, train: TrainSet, valid: ImageDataset | None) -> bytes | None:
        self._facts = self._identity(train, valid)
        found = self._newest()
        if found is None:
            return None
        facts, state = found
        self._check_identity(facts)
        return state

    def _newest(self) -> tuple[dict[str, Any], bytes] | None:
        paths = self._paths()
        for path in reversed(paths):
            try:
                return _read(path)
            except _DamagedError as error:
                warn_user(f"checkpoint {path} cannot be used: {error}. An older one is tried.")
        if paths:
            raise CheckpointError(
                f"none of the {len(paths)} checkpoints in {str(self.folder)!r} can be used "
                f"({', '.join(path.name for path in paths)}). To train from the beginning, delete "
                "them or choose another folder."
            )
        return None

    def _identity(self, train: TrainSet, valid: ImageDataset | None) -> dict[str, Any]:
        params = compared_params(self.net, "identity")
        given = settled_params(self.net)
        networks = self.net.parts_.networks.values()
        return {
            "network": hash_of([structure(network) for network in networks]),
            "seed": self.net.seed_,
            "random_state": self.net.random_state is not None,
            "params": {name: [hash_of(params[name]), _short(given[name])] for name in params},
            "training rows": data_digest(train),
            "rows held out": None if valid is None else data_digest(valid),
            "machine": machine_facts(self.net.device_),
        }

    def _check_identity(self, facts: dict[str, Any]) -> None:
        ours = self._facts
        before, now = facts["params"], ours["params"]
        nothing = ["", "not set"]
        changes = [
            _change(name, before.get(name, nothing)[1], now.get(name, nothing)[1])
            for name in sorted(before | now)
            if before.get(name, nothing)[0] != now.get(name, nothing)[0]
        ]
        if not changes and facts["network"] != ours["network"]:
            changes.append("the network's or the criterion's code changed")
        if facts["seed"] != ours["seed"] or facts["random_state"] != ours["random_state"]:
            changes.append("random_state gives another seed")
        for rows in ("training rows", "rows held out"):
            if facts[rows] != ours[rows]:
                changes.append(f"the {rows} (images or labels) differ")
        if changes:
            raise CheckpointError(
                f"checkpoint={str(self.folder)!r} holds a training with other data or parameters: "
                f"{'; '.join(changes)}. Set them back to go on with it, or choose another folder."
            )
        if facts["machine"] != ours["machine"]:
            names = [k for k, v in ours["machine"].items() if facts["machine"].get(k) != v]
            warn_user(
                f"checkpoint={str(self.folder)!r} was written with another {', '.join(names)}: "
                "results may differ in rounding from those of a training that never stopped."
            )

    # --- writing ---

    def after_epoch(self, is_last: bool) -> None:
        """Write a checkpoint if one is due."""
        epoch = len(self.net.history)
        due = epoch % self.net.checkpoint_every == 0 or epoch == self.net.max_epochs
        if due or is_last:
            self.write()

    def write(self) -> None:
        """Write a checkpoint and remove all but the newest ones.

        Raises
        ------
        CheckpointError
            When there is no room or no right to; earlier checkpoints, and the net, stay usable.
        """
        self.net.ranks_.from_first(self._write)

    def _write(self) -> None:
        epoch = len(self.net.history)
        facts = {"format": FORMAT, "epoch": epoch, **self._facts}
        payload = json.dumps(facts).encode() + b"\n" + dump_state(self.net)
        digest = hashlib.sha256(payload).hexdigest().encode()
        try:
            write_atomically(self._path(epoch), MAGIC + digest + b"\n" + payload)
            for old in self._paths()[:-KEPT]:
                old.unlink()
        except OSError as error:
            raise self._unwritable(error) from error

    def _path(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:06d}.ckpt"

    def _paths(self) -> list[Path]:
        """Return the checkpoints, the oldest first; other files in the folder are the user's."""
        ours = (path for path in self.folder.iterdir() if re.fullmatch(NAME, path.name))
        return sorted(ours, key=lambda path: (len(path.name), path.name))

    def _unwritable(self, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"cannot write to checkpoint={str(self.folder)!r}: {error.strerror or error}. Earlier "
            "checkpoints are untouched, and the network keeps what it has learnt. Mend that, or "
            "choose another folder, and call fit again."
        )


class _DamagedError(Exception):
    """A file is not a whole checkpoint."""


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return facts and state of a checkpoint; nothing is unpickled."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _DamagedError(f"it cannot be read ({error.strerror})") from error
    if not content.startswith(MAGIC):
        raise _DamagedError("it is no checkpoint")
    digest, _, payload = content[len(MAGIC) :].partition(b"\n")
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise _DamagedError("it is damaged or incomplete")
    head, _, state = payload.partition(b"\n")
    facts = json.loads(head)
    if facts["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {facts['format']}; this sklearn_open reads format {FORMAT}. Go on "
            f"with the version that wrote it, {facts['machine'].get('sklearn_open')}, or choose "
            "another folder to train from the beginning."
        )
    return facts, state


def _change(name: str, before: str, now: str) -> str:
    if before == now:
        return f"the code or the content of {name} changed"
    return f"{name} was {before} and is {now}"


def _short(value: Any) -> str:
    return shortened(re.sub(" at 0x[0-9a-f]+", "", repr(value)))
