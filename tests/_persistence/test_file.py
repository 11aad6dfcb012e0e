"""Files that `load` refuses: foreign ones, changed ones, and those that are made by hand."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from sklearn_open import OPeNClassifier
from sklearn_open._persistence import file as saved_file
from sklearn_open._persistence.file import read_file, write_file
from sklearn_open.exceptions import SavedFileError


@pytest.fixture(scope="module")
def fitted(images):
    X, y = images
    clf = OPeNClassifier(module__width=4, max_epochs=2, start_epoch=1, random_state=0, verbose=0)
    return clf.fit(X, np.array(["cat", "bird", "dog"])[y])


@pytest.fixture(scope="module")
def content(fitted, tmp_path_factory):
    """Bytes of a saved estimator."""
    path = tmp_path_factory.mktemp("saved") / "clf.safetensors"
    fitted.save(path)
    return path.read_bytes()


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def a_png(path):
    Image.new("RGB", (4, 4)).save(path, format="png")


def content_is(content):
    return lambda path: path.write_bytes(content)


def facts_only(text):
    return lambda path: safetensors.torch.save_file({}, path, {"sklearn_open": text})


class TestForeignFiles:
    def test_a_pickle_is_not_opened(self, tmp_path):
        path, marker = tmp_path / "clf.safetensors", tmp_path / "marker"
        for write in (
            lambda: path.write_bytes(pickle.dumps(Bomb(marker))),
            lambda: torch.save(Bomb(marker), path),
        ):
            write()
            with pytest.raises(SavedFileError, match="which can run any code"):
                OPeNClassifier.load(path)
            assert not marker.exists()
        pickle.loads(pickle.dumps(Bomb(marker)))
        assert marker.exists()  # it would have gone off

    @pytest.mark.parametrize(
        ("write", "said"),
        [
            (content_is(b""), "is empty. Copy the file again"),
            (a_png, "is an image"),
            (content_is(b"abc"), "is cut off, damaged, or not a file"),
            (content_is(b"\x05" + bytes(7) + b"[[[[["), "is cut off"),
            (content_is(b"\x04" + bytes(7) + b"[{}]"), "is cut off"),
            (content_is((10**5).to_bytes(8, "little") + b"[" * 10**5), "is cut off"),
            (
                lambda path: safetensors.torch.save_file({"a": torch.ones(2)}, path),
                "a safetensors file, but not one that OPeNClassifier.save wrote",
            ),
            (facts_only("{"), "its facts cannot be read"),
            (facts_only("[1]"), "its facts cannot be read"),
            (facts_only('{"format": true}'), "its facts cannot be read"),
            (facts_only('{"format": 0}'), "its facts cannot be read"),
            (facts_only('{"format": 1}'), "does not agree with its checksum"),
            (lambda path: write_file(path, {}, {}), "its facts are not"),
        ],
        ids=range(13),
    )
    def test_others(self, tmp_path, write, said):
        write(tmp_path / "file")
        with pytest.raises(SavedFileError, match=said) as raised:
            OPeNClassifier.load(tmp_path / "file")
        assert str(tmp_path / "file") in str(raised.value)

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            OPeNClassifier.load(tmp_path / "nothing")

    @pytest.mark.parametrize("versions", [{"sklearn_open": "7.1"}, "7.1"])
    def test_a_newer_format_names_who_wrote_it(self, content, tmp_path, versions):
        facts = json.dumps({"format": 2, "new": 1, "versions": versions})
        weights = safetensors.torch.load(content)
        path = tmp_path / "newer"
        safetensors.torch.save_file(weights, path, {"sklearn_open": facts, "checksum": "new"})
        who = "7.1" if isinstance(versions, dict) else "None"
        with pytest.raises(SavedFileError, match=f"format 2, which sklearn_open {who} wrote"):
            OPeNClassifier.load(path)

    def test_an_older_format_is_upgraded(self, content, tmp_path, monkeypatch):
        path = tmp_path / "old"
        path.write_bytes(content)
        facts, _ = read_file(path)
        monkeypatch.setattr(saved_file, "FORMAT", 3)
        monkeypatch.setitem(saved_file.UPGRADES, 1, lambda facts: {**facts, "steps": [1]})
        monkeypatch.setitem(
            saved_file.UPGRADES, 2, lambda facts: {**facts, "steps": [*facts["steps"], 2]}
        )
        assert read_file(path)[0] == {**facts, "steps": [1, 2]}


def header_of(content):
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def with_header(header, data):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def mutate(content, rng):
    """Return a file that was changed in one of many ways."""
    kind = rng.randint(9)
    at = rng.randint(len(content))
    if kind == 0:
        changed = np.frombuffer(content, np.uint8).copy()
        bits = rng.randint(len(content), size=rng.randint(1, 4))
        changed[bits] ^= 1 << rng.randint(8, size=len(bits)).astype(np.uint8)
        return changed.tobytes()
    if kind == 1:
        return content[:at]
    if kind == 2:
        return content[:at] + rng.bytes(rng.randint(1, 20)) + content[at:]
    if kind == 3:
        return content[:at] + content[at + rng.randint(1, 20) :]
    header, data = header_of(content)
    one, other = rng.choice([name for name in header if name != "__metadata__"], 2, replace=False)
    metadata = header["__metadata__"]
    if kind == 4:  # tensors trade names
        header[one], header[other] = header[other], header[one]
    elif kind == 5:  # or places, or types, or shapes
        part = rng.choice(["data_offsets", "dtype", "shape"])
        header[one][part], header[other][part] = header[other][part], header[one][part]
    elif kind == 6:
        text = list(metadata["sklearn_open"])
        text[rng.randint(len(text))] = rng.choice(list('0123456789 abc"{}[],:.-é'))
        metadata["sklearn_open"] = "".join(text)
    elif kind == 7:
        name = rng.choice(list(metadata))
        metadata[name] = [metadata[name][1:], None, 3, "", {}, [metadata[name]]][rng.randint(6)]
    else:
        del header[rng.choice(list(header))]
    return with_header(header, data)


def outcome(path, refusal=SavedFileError):
    """Return an estimator, or None where a file is refused."""
    try:
        return OPeNClassifier.load(path)
    except refusal:
        return None


class TestChangedFiles:
    @pytest.mark.parametrize("block", range(8))
    def test_they_are_refused_or_predict_the_same(self, fitted, images, content, tmp_path, block):
        X, path = images[0][:3], tmp_path / "file"
        proba = fitted.predict_proba(X)
        seeds = range(100 * block, 100 * block + 100)
        mutated = [mutate(content, np.random.RandomState(seed)) for seed in seeds]
        mutated = [one for one in mutated if one != with_header(*header_of(content))]
        refused = 0
        for one in mutated:
            path.write_bytes(one)
            loaded = outcome(path)
            refused += loaded is None
            if loaded is not None:
                assert loaded.predict_proba(X).tobytes() == proba.tobytes()
        assert len(mutated) >= 70
        assert refused >= 0.97 * len(mutated)

    @pytest.mark.parametrize("part", ["weights", "facts"])
    def test_every_byte_counts(self, content, tmp_path, part):
        header, data = header_of(content)
        text = header["__metadata__"]["sklearn_open"]
        rng = np.random.RandomState(0)
        for at in rng.randint(len(data if part == "weights" else text), size=30):
            changed = data
            if part == "weights":
                changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            else:
                letter = chr(ord(text[at]) ^ 1)
                header["__metadata__"]["sklearn_open"] = text[:at] + letter + text[at + 1 :]
            (tmp_path / "file").write_bytes(with_header(header, changed))
            assert outcome(tmp_path / "file") is None

    def test_spaces_do_not_count(self, content, tmp_path, fitted, images):
        (tmp_path / "file").write_bytes(with_header(*header_of(content)))
        assert (tmp_path / "file").read_bytes() != content
        np.testing.assert_array_equal(
            outcome(tmp_path / "file").predict_proba(images[0]), fitted.predict_proba(images[0])
        )


JUNK = [
    *(None, True, -1, 0, 3, 1.5, 10**30, "x", "", "torch.nn.L1Loss", [], {}, [1], [[]], [None, {}]),
    *({"tuple": [1]}, {"float": "nan"}, {"float": "x"}, {"a": 1, "b": 2}, {"bytes": "zz"}),
    *({"dict": [[[], 1]]}, {"dict": [1]}, {"tuple": 3}, {"array": 3}, {"tensor": {}}, {"": 0}),
    {"dtype": "<f8", "shape": [2], "values": [1.0, 2.0]},
    {"dtype": "<f8", "shape": [3], "values": [1.0, {"float": "inf"}, 2.0]},
    {"dtype": "<f8", "shape": [-1], "values": [1.0]},
    {"dtype": "<f4", "shape": [1], "values": [1e300]},
    {"dtype": "|u1", "shape": [3], "values": [1, 2, 300]},
    {"dtype": "<U1", "shape": [3], "values": ["a", "b", "cd"]},
    {"dtype": "|V8", "shape": [], "values": [1]},
    {"dtype": "<M8[x]", "shape": [2], "values": [1, 2]},
    {"dtype": "|O", "shape": [2], "values": [[1], [2]]},
    {"dtype": [], "shape": "3", "values": {}},
]


def places(facts, at=()):
    """Yield the way to every part of the facts."""
    parts = facts.items() if isinstance(facts, dict) else enumerate(facts)
    for key, part in parts:
        yield (*at, key)
        if isinstance(part, (dict, list)):
            yield from places(part, (*at, key))


def replaced(facts, place, value):
    facts = copy.deepcopy(facts)
    inner = facts
    for key in place[:-1]:
        inner = inner[key]
    if value is KeyError:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return facts


class TestFilesMadeByHand:
    """Their checksum is right, their facts are not."""

    @pytest.fixture
    def path(self, content, tmp_path):
        (tmp_path / "file").write_bytes(content)
        return tmp_path / "file"

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("block", range(8))
    def test_they_load_or_are_refused(self, path, images, block):
        facts, weights = read_file(path)
        facts["params"]["iterator_valid__batch_size"] = 7
        everywhere = sorted(places(facts), key=str)
        rng = np.random.RandomState(block)
        for _ in range(60):
            place = everywhere[rng.randint(len(everywhere))]
            value = [*JUNK, KeyError][rng.randint(len(JUNK) + 1)]
            write_file(path, replaced(facts, place, value), weights)
            # What it has no name for, it asks for.
            asks = place[0] in ("names", "not_stored") or place == ("params", "module")
            loaded = outcome(path, (SavedFileError, ValueError) if asks else SavedFileError)
            if loaded is not None:
                assert loaded.predict_proba(images[0]).shape == (60, 3), (place, value)

    @pytest.mark.parametrize("name", ["device", "memory", "predict", "__class__", "initialized_"])
    def test_they_set_parameters_only(self, path, name):
        facts, weights = read_file(path)
        facts["params"][name] = "x"
        write_file(path, facts, weights)
        with pytest.raises(SavedFileError, match=f"'{name}' is no parameter of a file"):
            OPeNClassifier.load(path)

    @pytest.mark.parametrize("name", ["os.system", "sklearn_open.backbones.os", "torch.nn.Linear"])
    def test_names_are_looked_up_in_lists_only(self, path, name):
        facts, weights = read_file(path)
        facts["names"]["module"] = name
        write_file(path, facts, weights)
        with pytest.raises(ValueError, match=f"made by {name}, and files do not hold code"):
            OPeNClassifier.load(path)
