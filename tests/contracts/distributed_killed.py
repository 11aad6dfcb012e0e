"""A training on several ranks of which one is killed, for test_several_ranks_killed.py.

python distributed_killed.py FOLDER [RANK BATCH PLACE]
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import distributed, nn

from sklearn_open import OPeNClassifier
from sklearn_open._persistence import checkpoints
from sklearn_open.exceptions import RankEndedError

N_EPOCHS, N_BATCHES = 6, 5  # of an epoch
ALL = -1  # all ranks get a SIGTERM, as from a scheduler that needs the machine
RANK_ENDED = 3  # what a rank exits by that was told so
# Rank, batch of the whole training (from 1) and place where it is killed: no parameters, as the
# training that goes on is the same one.
KILL: list[Any] = []


class InFloat64(nn.Module):
    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(in_channels, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        self.head = nn.Linear(6, num_classes)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x.double()).mean((2, 3)))


def killed_at(net: Any, place: str) -> None:
    """Kill this process if this is where it is to die."""
    n_batches = sum(len(row["batches"]) for row in net.history)
    if KILL == [ALL, n_batches, place]:
        os.kill(os.getpid(), signal.SIGTERM)
    if KILL and KILL == [distributed.get_rank(), n_batches, place]:
        os.kill(os.getpid(), signal.SIGKILL)


class Killed(Callback):
    def on_batch_begin(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        killed_at(net, "before a step")

    def on_grad_computed(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        killed_at(net, "in a step")

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        killed_at(net, "after a step")


class Slain(OPeNClassifier):
    """Hands itself on to what writes its checkpoints."""

    def initialize(self) -> Slain:
        write = checkpoints.write_atomically

        def write_or_die(path: Path, content: bytes) -> None:
            if KILL and KILL[2] == "while a checkpoint is written":
                Path(f"{path}.half.tmp").write_bytes(content[: len(content) // 2])
                killed_at(self, KILL[2])
            write(path, content)

        checkpoints.write_atomically = write_or_die
        return super().initialize()


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], [72, 36, 12])
    X = rng.randint(0, 120, (len(y), 3, 6, 6))
    X[np.arange(len(y)), y] += 100
    return X.astype(np.uint8), y


def main(folder: str, *kill: str) -> None:
    """Train to the end, from a checkpoint if there is one, and write what came out."""
    if kill:
        KILL[:] = int(kill[0]), int(kill[1]), kill[2]
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    clf = Slain(
        module=InFloat64,
        max_epochs=N_EPOCHS,
        start_epoch=2,
        batch_size=24,
        lr=0.05,
        random_state=0,
        verbose=0,
        callbacks=[Killed()],
        checkpoint=Path(folder, "checkpoint"),
        distributed=True,
    )
    try:
        clf.fit(*data())
    except RankEndedError as error:
        print(f"RankEndedError: {error}", flush=True)
        raise SystemExit(RANK_ENDED) from None
    found = {
        "state": {key: tensor.numpy() for key, tensor in clf.module_.state_dict().items()},
        "momentum": [s["momentum_buffer"].numpy() for s in clf.optimizer_.state.values()],
        "losses": [row["train_loss"] for row in clf.history],
        "batches": [[batch["train_loss"] for batch in row["batches"]] for row in clf.history],
    }
    Path(folder, f"rank-{rank}.pickle").write_bytes(pickle.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
