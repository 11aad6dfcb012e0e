"""A search on a cluster of Dask finds what it finds in one process, also if a worker is killed."""

import os
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV

from sklearn_open import OPeNClassifier
from sklearn_open.datasets import MappedImages

distributed = pytest.importorskip("distributed", reason="needs Dask: pip install distributed")

GRID = {"delta": [0, 1 / 3], "composition": ["even", "bernoulli"]}


@pytest.fixture(scope="module")
def cluster():
    """Two processes, which can import what lies beside this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=None
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


@pytest.fixture
def on_dask(cluster):
    """A context in which searches run on the cluster."""
    cluster.wait_for_workers(2)  # with one there would be nobody to share with
    return parallel_config("dask")


@pytest.fixture
def mapped(images, tmp_path):
    np.save(tmp_path / "X.npy", images[0])
    return MappedImages(tmp_path / "X.npy")


def search(X, y, folder, cv=2, **params):
    clf = OPeNClassifier(
        max_epochs=3, start_epoch=2, batch_size=16, random_state=0, memory=folder, **params
    )
    return GridSearchCV(clf, GRID, cv=cv, refit=False, error_score="raise").fit(X, y)


def scores(found):
    """Return the score of every fit."""
    return {k: v.tolist() for k, v in found.cv_results_.items() if k.endswith("test_score")}


@pytest.fixture(scope="module")
def expected(images, tmp_path_factory):
    return scores(search(*images, tmp_path_factory.mktemp("alone")))


def n_phases(folder):
    return len(list(folder.glob("phase-*.lock")))


@pytest.mark.parametrize("kind", ["array", "mapped"])
def test_scores_are_those_of_one_process(on_dask, images, mapped, expected, tmp_path, capfd, kind):
    X = images[0] if kind == "array" else mapped
    with on_dask:
        found = search(X, images[1], tmp_path / "memory")
    assert scores(found) == expected
    assert n_phases(tmp_path / "memory") == 2  # one for each fold, trained by whoever came first
    assert capfd.readouterr().out == ""  # fits of a search are quiet in workers, too


def test_a_file_that_workers_do_not_have_ends_the_search(on_dask, images, mapped, tmp_path):
    Path(mapped.filename).unlink()
    with on_dask, pytest.raises(Exception, match="all machines see it"):
        search(mapped, images[1], tmp_path / "memory")


def test_a_worker_that_is_killed_while_the_other_waits_for_it(on_dask, images, mapped, tmp_path):
    from killed_once import KilledOnce

    one_phase = [(np.arange(40), np.arange(40, 60))]  # which all fits need
    killed = KilledOnce(str(tmp_path))
    with on_dask:
        found = search(mapped, images[1], tmp_path / "memory", cv=one_phase, callbacks=[killed])
    process, epoch = (tmp_path / "killed").read_text().split()
    assert int(process) != os.getpid()
    assert epoch == "1"  # in the shared phase, so it held the lock
    assert scores(found) == scores(search(*images, tmp_path / "alone", cv=one_phase))
    assert n_phases(tmp_path / "memory") == 1
