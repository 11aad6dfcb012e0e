"""Kill trainings at random moments, resume them, and compare with one that was left alone.

    python tests/_persistence/kill_and_resume.py --kills 30

Every training runs in a process of its own, forked from this one, which has imported everything.
Moments are drawn from all epochs and from the time that one takes, so that they fall into steps,
into the writing of checkpoints, before and after `start_epoch`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing as mp
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sklearn_open import OPeNClassifier


class Augmented(Dataset):
    """Images with a random transform per item, as torchvision's data sets have them."""

    def __init__(self, X: np.ndarray, y: np.ndarray) -> None:
        self.X, self.targets = torch.from_numpy(X), y.tolist()

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        image = self.X[i].float() / 255
        return (image + 0.1 * torch.rand(())).clamp(0, 1), self.targets[i]


# What differs between trainings: parameters, and whether X is a data set.
VARIANTS: dict[str, tuple[dict[str, Any], bool]] = {
    "arrays": ({"augment": "flip_crop"}, False),
    "workers": ({"iterator_train__num_workers": 2}, True),
    "memory": ({"memory": "memory"}, False),
    "bernoulli": ({"composition": "bernoulli", "noise_grad": "all"}, False),
    "dropout": ({"module__dropout": 0.3}, False),
}


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return small images in three classes."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], [72, 36, 12])
    return rng.randint(0, 256, (len(y), 3, 8, 8)).astype(np.uint8), y


def train(variant: str, folder: Path, epochs: int) -> None:
    """Train to the end, from a checkpoint if there is one, and write what came out."""
    torch.set_num_threads(1)
    params, as_dataset = VARIANTS[variant]
    params = dict(params)
    if "memory" in params:
        params["memory"] = folder / params["memory"]
    if "module__dropout" in params:
        from sklearn_open.backbones import WideResNet

        params |= {"module": WideResNet, "module__depth": 10, "module__widen_factor": 1}
    X, y = data()
    clf = OPeNClassifier(
        max_epochs=epochs,
        start_epoch=0.5,
        batch_size=16,
        lr=0.05,
        random_state=0,
        verbose=0,
        checkpoint=folder / "checkpoint",
        **params,
    ).fit(*(Augmented(X, y), None) if as_dataset else (X, y))
    (folder / "result.json").write_text(json.dumps(outcome(clf, X / 255 if as_dataset else X)))


def outcome(clf: OPeNClassifier, X: np.ndarray) -> dict[str, Any]:
    """Return what has to be the same, bit for bit."""
    weights = hashlib.sha256()
    for tensor in clf.module_.state_dict().values():
        weights.update(tensor.numpy().tobytes())
    for state in clf.optimizer_.state.values():
        weights.update(state["momentum_buffer"].numpy().tobytes())
    batches = [[batch["train_loss"] for batch in row["batches"]] for row in clf.history]
    return {
        "weights": weights.hexdigest(),
        "probabilities": hashlib.sha256(clf.predict_proba(X).tobytes()).hexdigest(),
        "losses": batches,
        "history": [[row["epoch"], row["train_loss"], row["lr"]] for row in clf.history],
    }


def run(variant: str, folder: Path, epochs: int, kill: tuple[int, float] | None = None) -> bool:
    """Run a training in a process of its own; tell whether it was killed.

    Parameters
    ----------
    kill : (int, float) or None
        Number of checkpoints to wait for, and seconds to wait from then on.
    """
    process = mp.get_context("fork").Process(target=train, args=(variant, folder, epochs))
    process.start()
    if kill is not None:
        while process.is_alive() and newest(folder) < kill[0]:
            time.sleep(0.001)
        process.join(kill[1])
        if process.is_alive():
            process.kill()
            process.join()
            return True
    process.join()
    if process.exitcode:
        raise RuntimeError(f"training {variant} failed with {process.exitcode}")
    return False


def newest(folder: Path) -> int:
    """Return the epoch of the newest checkpoint, -1 if there is none."""
    return max((int(p.stem.split("-")[1]) for p in folder.glob("checkpoint/*.ckpt")), default=-1)


def drive(kills: int, epochs: int, seed: int = 0, variants: tuple[str, ...] = ()) -> dict[str, Any]:
    """Kill trainings `kills` times in all, one to three times each; return what was found."""
    rng = random.Random(seed)
    names = variants or tuple(VARIANTS)
    found: dict[str, Any] = {"kills": 0, "trainings": 0, "same": 0, "resumed_from": []}
    with tempfile.TemporaryDirectory() as root:
        expected, per_epoch = {}, {}
        for variant in names:
            alone = Path(root, variant)
            alone.mkdir()
            start = time.perf_counter()
            run(variant, alone, epochs)
            per_epoch[variant] = (time.perf_counter() - start) / epochs
            expected[variant] = json.loads((alone / "result.json").read_text())
        while found["kills"] < kills:
            variant = names[found["trainings"] % len(names)]
            folder = Path(root, f"killed-{found['trainings']}")
            folder.mkdir()
            for epoch in sorted(rng.choices(range(-1, epochs), k=rng.randint(1, 3))):
                delay = rng.uniform(0, per_epoch[variant])
                if found["kills"] < kills and run(variant, folder, epochs, (epoch, delay)):
                    found["resumed_from"].append(newest(folder))
                    found["kills"] += 1
            run(variant, folder, epochs)
            result = json.loads((folder / "result.json").read_text())
            found["trainings"] += 1
            found["same"] += result == expected[variant]
    return found


def main() -> None:
    """Read the command line and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = drive(args.kills, args.epochs, args.seed)
    print(json.dumps(found, indent=1))
    if found["same"] != found["trainings"]:
        raise SystemExit("some differ")


if __name__ == "__main__":
    main()
