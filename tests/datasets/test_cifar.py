import hashlib
import http.server
import io
import pickle
import sys
import tarfile
import threading
import urllib.error
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from torchvision import datasets
from torchvision.datasets import utils

from sklearn_open.datasets import _cifar, fetch_cifar10_lt, fetch_cifar100_lt, make_long_tailed

FETCHERS = {"CIFAR10": fetch_cifar10_lt, "CIFAR100": fetch_cifar100_lt}
N_CLASSES = 4


def write_pickle(file, content):
    file.write_bytes(pickle.dumps(content))
    return hashlib.md5(file.read_bytes()).hexdigest()


def write_batch(file, n_per_class, labels_key, seed):
    rng = np.random.RandomState(seed)
    labels = rng.permutation(np.repeat(np.arange(N_CLASSES), n_per_class))
    data = rng.randint(256, size=(len(labels), 3 * 32 * 32), dtype=np.uint8)
    return data, labels, write_pickle(file, {"data": data, labels_key: labels.tolist()})


@pytest.fixture(params=list(FETCHERS))
def tiny(request, tmp_path, monkeypatch):
    """Make a small archive in CIFAR's format that torchvision takes for the real one."""
    cls = getattr(datasets, request.param)
    labels_key = "labels" if request.param == "CIFAR10" else "fine_labels"
    folder = tmp_path / "sklearn_open" / cls.base_folder
    folder.mkdir(parents=True)
    data, labels, train_md5 = write_batch(folder / "tiny_train", 20, labels_key, seed=0)
    _, _, test_md5 = write_batch(folder / "tiny_test", 5, labels_key, seed=1)
    names = [f"class {i}" for i in range(N_CLASSES)]
    meta = {**cls.meta, "filename": "tiny_meta"}
    meta["md5"] = write_pickle(folder / "tiny_meta", {meta["key"]: names})
    monkeypatch.setattr(cls, "train_list", [["tiny_train", train_md5]])
    monkeypatch.setattr(cls, "test_list", [["tiny_test", test_md5]])
    monkeypatch.setattr(cls, "meta", meta)
    images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return FETCHERS[request.param], tmp_path, images, labels


def test_train(tiny):
    fetch, data_home, images, labels = tiny
    bunch = fetch(data_home=data_home, imbalance_ratio=10, download_if_missing=False)
    X, y = make_long_tailed(images, labels, imbalance_ratio=10)
    assert_array_equal(bunch.data, X)
    assert_array_equal(bunch.target, y)
    assert bunch.data.dtype == np.uint8
    assert bunch.target.dtype == np.int64
    assert_array_equal(np.bincount(y), [20, 9, 4, 2])
    assert bunch.target_names == [f"class {i}" for i in range(N_CLASSES)]
    assert_array_equal(bunch.class_counts, [20, 9, 4, 2])
    assert_array_equal(bunch.shot_groups["medium"], [0])
    assert_array_equal(bunch.shot_groups["few"], [1, 2, 3])
    assert "imbalance_ratio=10" in bunch.DESCR
    assert "35 images in 4 classes, from 20 to 2 each" in bunch.DESCR
    assert "0 classes many (more than 100), 1 medium (20 to 100), 3 few" in bunch.DESCR
    assert "class 2: 4" in bunch.DESCR


def test_arguments_reach_the_selection(tiny):
    fetch, data_home, images, labels = tiny
    kwargs = {"profile": "step", "imbalance_ratio": 4, "selection": "random", "random_state": 7}
    X, y = fetch(data_home=data_home, return_X_y=True, **kwargs)
    expected, y_expected = make_long_tailed(images, labels, **kwargs)
    assert_array_equal(X, expected)
    assert_array_equal(y, y_expected)


def test_test_set_is_whole(tiny):
    fetch, data_home, *_ = tiny
    bunch = fetch(subset="test", data_home=data_home)
    assert bunch.data.shape == (20, 32, 32, 3)
    assert_array_equal(np.bincount(bunch.target), [5] * N_CLASSES)
    assert_array_equal(bunch.class_counts, [5] * N_CLASSES)
    assert_array_equal(bunch.shot_groups["medium"], [0])  # of the training set
    assert "all images" in bunch.DESCR


def test_m2m(tiny):
    fetch, data_home, images, labels = tiny
    settings = {"data_home": data_home, "selection": "m2m"}
    X, y = fetch(imbalance_ratio=10, return_X_y=True, **settings)
    expected, y_expected = make_long_tailed(images, labels, imbalance_ratio=10, selection="m2m")
    assert_array_equal(X, expected)
    assert_array_equal(y, y_expected)


def test_m2m_splits_the_test_set(tiny, monkeypatch):
    fetch, data_home, *_ = tiny
    monkeypatch.setattr(_cifar, "_M2M_VAL_SHARE", 5)  # one of the five images of a class
    val, rest = (fetch(subset=s, data_home=data_home, selection="m2m") for s in ("val", "test"))
    whole = fetch(subset="test", data_home=data_home)
    assert_array_equal(val.class_counts, [1] * N_CLASSES)
    assert_array_equal(rest.class_counts, [4] * N_CLASSES)
    firsts = np.sort([np.flatnonzero(whole.target == label)[0] for label in range(N_CLASSES)])
    assert_array_equal(val.data, whole.data[firsts])
    assert_array_equal(rest.data, np.delete(whole.data, firsts, axis=0))
    assert_array_equal(rest.target, np.delete(whole.target, firsts))
    assert "images of M2m's split" in val.DESCR


def test_only_m2m_has_a_validation_set(tmp_path):
    with pytest.raises(
        ValueError, match=r"is for selection=\"m2m\" only, but got selection='ldam'"
    ):
        fetch_cifar10_lt(subset="val", data_home=tmp_path)


def pack(cls, root, archive, more=()):
    """Move the unpacked files into an archive."""
    archive.parent.mkdir(exist_ok=True)
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(root / cls.base_folder, cls.base_folder)
        for name, content in more:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    for file in (root / cls.base_folder).iterdir():
        file.unlink()
    (root / cls.base_folder).rmdir()


def publish(monkeypatch, cls, archive, md5=True, sha256=True):
    """Let the sums of an archive be those of the published one."""
    content = archive.read_bytes()
    if md5:
        monkeypatch.setattr(cls, "tgz_md5", hashlib.md5(content).hexdigest())
    if sha256:
        monkeypatch.setitem(_cifar._SHA256, cls.__name__, hashlib.sha256(content).hexdigest())


@pytest.fixture
def served(tiny, tmp_path, monkeypatch):
    """The same, with nothing unpacked, and torchvision's address that of a folder served here."""
    fetch, data_home, *_ = tiny
    cls = datasets.CIFAR10 if fetch is fetch_cifar10_lt else datasets.CIFAR100
    folder = tmp_path / "served"

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=folder, **kwargs)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(cls, "url", f"http://127.0.0.1:{server.server_port}/{cls.filename}")
    yield fetch, cls, data_home, folder / cls.filename
    server.shutdown()
    server.server_close()


# Older torchvision unpacks without naming a filter, which Python 3.12 and 3.13 warn about.
unpacks = pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")


@unpacks
def test_archive_put_there_by_hand(tiny, monkeypatch):
    fetch, data_home, *_ = tiny
    cls = datasets.CIFAR10 if fetch is fetch_cifar10_lt else datasets.CIFAR100
    root = data_home / "sklearn_open"
    pack(cls, root, root / cls.filename)
    publish(monkeypatch, cls, root / cls.filename)
    assert fetch(subset="test", data_home=data_home).data.shape == (20, 32, 32, 3)


@unpacks
def test_download(served, monkeypatch):
    fetch, cls, data_home, archive = served
    pack(cls, data_home / "sklearn_open", archive)
    publish(monkeypatch, cls, archive)
    assert fetch(subset="test", data_home=data_home).data.shape == (20, 32, 32, 3)
    archive.unlink()
    assert fetch(subset="test", data_home=data_home).data.shape == (20, 32, 32, 3)


@unpacks
@pytest.mark.parametrize("terminal", [False, True])
def test_a_download_draws_its_bar_on_a_terminal_only(served, monkeypatch, terminal):
    fetch, cls, data_home, archive = served
    pack(cls, data_home / "sklearn_open", archive)
    publish(monkeypatch, cls, archive)
    tqdm, stream = utils.tqdm, io.StringIO()
    stream.isatty = lambda: terminal
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        fetch(subset="test", data_home=data_home)
    assert ("100%" in stream.getvalue()) is terminal
    assert utils.tqdm is tqdm


@pytest.mark.parametrize(
    ("md5", "message"), [(False, "corrupted"), (True, "has the SHA-256 .* was not unpacked")]
)
def test_another_archive_is_not_unpacked(served, monkeypatch, md5, message):
    fetch, cls, data_home, archive = served
    root = data_home / "sklearn_open"
    pack(cls, root, archive, more=[("../evil", b"evil"), (f"{cls.base_folder}/evil", b"evil")])
    publish(monkeypatch, cls, archive, md5=md5, sha256=False)
    with pytest.raises(OSError, match=f"could not be downloaded .*{message}"):
        fetch(data_home=data_home)
    assert [path.name for path in root.iterdir()] == [cls.filename]
    assert not list(data_home.rglob("evil"))


def test_damaged_data(tiny):
    fetch, data_home, *_ = tiny
    next(data_home.rglob("tiny_train")).write_bytes(b"damaged")
    with pytest.raises(OSError, match="missing or damaged"):
        fetch(data_home=data_home, download_if_missing=False)


@pytest.mark.parametrize(
    ("fetch", "archive"),
    [
        (fetch_cifar10_lt, "cifar-10-python.tar.gz"),
        (fetch_cifar100_lt, "cifar-100-python.tar.gz"),
    ],
)
def test_missing_data(tmp_path, monkeypatch, fetch, archive):
    with pytest.raises(OSError, match=f"Put the file {archive} .* download_if_missing=True"):
        fetch(data_home=tmp_path, download_if_missing=False)

    def offline(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(utils, "download_url", offline)
    with pytest.raises(OSError, match=f"no network.* Put the file {archive} .* and call again"):
        fetch(data_home=tmp_path)


def test_unknown_subset(tmp_path):
    with pytest.raises(ValueError, match=r"subset must be one of .* got 'valid'"):
        fetch_cifar10_lt(subset="valid", data_home=tmp_path)


@pytest.mark.parametrize("fetch", FETCHERS.values())
@pytest.mark.parametrize("subset", ["train", "test"])
@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"imbalance_ratio": 0.01}, "imbalance_ratio is"),
        ({"profile": "pareto"}, "profile must be one of"),
        ({"selection": "last"}, "selection must be one of"),
        ({"selection": "m2m", "profile": "step"}, "has class sizes of its own"),
        ({"random_state": "seed"}, "'seed' cannot be used to seed"),
    ],
)
def test_arguments_are_checked_before_anything_is_read(
    tmp_path, monkeypatch, fetch, subset, arguments, match
):
    monkeypatch.setattr(_cifar, "_read", None)
    for return_X_y in (False, True):
        with pytest.raises(ValueError, match=match):
            fetch(subset=subset, data_home=tmp_path, return_X_y=return_X_y, **arguments)


def test_fingerprints_on_the_real_images(data_home):
    """The subset depends on positions inside a class only, so a folder of class folders has it."""
    file = data_home / "cifar10-images.zip"
    if not file.exists():
        pytest.skip(f"no cifar10-images.zip in {data_home} (set SKLEARN_OPEN_DATA)")
    with zipfile.ZipFile(file) as archive:
        names = sorted(name for name in archive.namelist() if "train/" in name and "." in name)
    classes, y = np.unique([name.split("/")[-2] for name in names], return_inverse=True)
    assert classes.tolist()[::9] == ["airplane", "truck"]
    kept, y_kept = make_long_tailed(np.arange(len(y)), y)
    assert len(kept) == 12_406
    positions = kept[y_kept == 1][:5] - 5000, kept[y_kept == 9][:5] - 45_000
    assert_array_equal(positions[0], [597, 332, 521, 3935, 4800])
    assert_array_equal(positions[1], [2204, 3816, 2206, 2507, 1926])
    m2m, _ = make_long_tailed(np.arange(len(y)), y, selection="m2m")
    assert len(np.setdiff1d(kept, m2m)) == 4610
