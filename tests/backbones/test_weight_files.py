"""Which values name a file of weights, and what is read of it."""

import pytest
import torch

from sklearn_open.backbones._weight_files import is_weight_file, read_weight_file


def test_what_names_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("DEFAULT", "weights.bin"):
        (tmp_path / name).touch()
    files = (tmp_path, "a.pth", "b.pt", "c.safetensors", "d.pth.tar", "weights.bin")
    assert all(map(is_weight_file, files))
    names = (None, True, "DEFAULT", "IMAGENET1K_V1", "ResNet18_Weights.DEFAULT", "gone.bin", 3)
    assert not any(map(is_weight_file, names))


def test_a_prefix_is_taken_away_where_all_names_have_it(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"module.a": torch.ones(1), "module.b": torch.zeros(1)}, path)
    assert list(read_weight_file(path)) == ["a", "b"]
    torch.save({"module.a": torch.ones(1), "b": torch.zeros(1)}, path)
    assert list(read_weight_file(path)) == ["module.a", "b"]


def test_a_damaged_file(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"cannot be read as a state dict \("):
        read_weight_file(path)
