"""Fits end with the same bits as when the record was made, whatever has moved in the code since.

On another processor or torch, where rounding differs, they end near them. To make the record anew,
which only a change does that is meant to change results, and says so:

    python tests/contracts/test_bits_of_fits.py > tests/data/bits_of_fits.json
"""

import hashlib
import json
import platform
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from imblearn.over_sampling import RandomOverSampler
from sklearn.datasets import load_digits

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import make_long_tailed

RECORD = Path(__file__).parents[1] / "data" / "bits_of_fits.json"
N_SHOWN = 3  # rows whose probabilities are kept, for machines that round otherwise

FITS = {
    "head": {},
    "all": {"noise_grad": "all"},
    "aux": {"norm": "aux"},
    "standard": {"norm": "standard"},
    "bernoulli": {"composition": "bernoulli"},
    "resampled epochs": {"epoch_length": "resampled"},
    "class noise": {"resampler__noise": "class_gaussian"},
    "additive noise": {"resampler__noise": "additive"},
    "augmented": {"augment": "cutout"},
    "plain": {"resampler": None},
    "duplicates": {"resampler": RandomOverSampler},
}


def machine():
    """Return what rounding depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"torch": torch.__version__, "processor": models[0] if models else platform.processor()}


def fit(name):
    """Train one of `FITS` and return the digest of its weights and some probabilities."""
    digits = load_digits()
    X, y = make_long_tailed(digits.images, digits.target, imbalance_ratio=20)
    settings = {"max_epochs": 5, "start_epoch": 2, "batch_size": 64, "precision": "float32"}
    clf = OPeNClassifier(**settings, random_state=0, verbose=0, **FITS[name]).fit(X, y)
    digest = hashlib.sha256()
    for key, tensor in sorted(clf.module_.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.numpy().tobytes())
    return {
        "weights": digest.hexdigest(),
        "losses": clf.history[:, "train_loss"],
        "proba": clf.predict_proba(digits.images[:N_SHOWN]).tolist(),
    }


def test_every_fit_has_its_record():
    assert list(json.loads(RECORD.read_text())["fits"]) == list(FITS)


@pytest.mark.parametrize("name", FITS)
def test_bits(name):
    record = json.loads(RECORD.read_text())
    before, now = record["fits"][name], fit(name)
    np.testing.assert_allclose(now["losses"], before["losses"], rtol=0.05)
    np.testing.assert_allclose(now["proba"], before["proba"], atol=0.05)
    if machine() == record["machine"]:
        assert now == before


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump({"machine": machine(), "fits": {name: fit(name) for name in FITS}}, sys.stdout)
