"""Nothing but the fetch functions of `datasets` uses the network."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Audit hooks see what libraries do in C, too. What is tried is told at the end, because a library
# may swallow the error.
SCRIPT = """
import sys

tried = []

def refuse(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        tried.append((event, args))
        raise OSError("no network")

sys.addaudithook(refuse)

import numpy as np
import sklearn_open
import sklearn_open.augment, sklearn_open.backbones, sklearn_open.datasets, sklearn_open.metrics
import sklearn_open.nn, sklearn_open.torch_sampler
from sklearn_open import OPeNClassifier, PureNoiseOverSampler
from sklearn_open.datasets import fetch_cifar10_lt

X = np.random.RandomState(0).randint(0, 256, (24, 3, 8, 8), dtype=np.uint8)
y = np.repeat(["common", "rare"], [18, 6])
clf = OPeNClassifier(augment="autoaugment", max_epochs=2, start_epoch=1, verbose=0).fit(X, y)
clf.predict(X)
clf.predict_proba(X)
PureNoiseOverSampler().fit_resample(X, y)
print(tried)

try:
    fetch_cifar10_lt(data_home=sys.argv[1])
except OSError as error:
    print("OSError", len(tried) > 0)
"""


def test_fit_and_predict_open_no_connection(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # The second line: the hook would have seen it, and a fetch function does connect.
    assert done.stdout.splitlines() == ["[]", "OSError True"]
