"""The examples with a training loop of one's own run from any directory, and agree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
TORCHRUN = ["-m", "torch.distributed.run", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
# Runs an example and keeps the weights that each rank ends with. (Not by runpy, which changes the
# command that Lightning starts other ranks with.)
KEEPING_WEIGHTS = """
import os, pathlib, torch
code = pathlib.Path(os.environ["EXAMPLE"]).read_text()
found = {"__name__": "__main__"}
exec(code, found)
net = found["model"].net if "model" in found else found["net"]
torch.save(net.state_dict(), f"rank{os.environ['LOCAL_RANK']}.pt")
"""
# In float64: differences of float32 grow.
WITHOUT_BATCH_NORM = """
import warnings
import torch
import sklearn_open.backbones

warnings.filterwarnings("ignore", message=".*no batch norm")

class Perceptron(torch.nn.Sequential):
    def __init__(self, num_classes, in_channels):
        layers = torch.nn.Linear(64, 30), torch.nn.Tanh(), torch.nn.Linear(30, num_classes)
        super().__init__(torch.nn.Flatten(), *layers)
        self.double()

    def forward(self, images):
        return super().forward(images.double())

sklearn_open.backbones.SmallCNN = Perceptron
"""


def printed_by(command, tmp_path, **environment):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, *command, "--epochs", "4"]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    counts, plain, noisy = done.stdout.splitlines()
    assert counts == "training images per class: [124  80  51  33  21  14   9   5   3   2]"
    assert plain.startswith("plain ")
    assert noisy.startswith("with noise ")
    return plain, noisy


def of_two_ranks(script, tmp_path, *, launcher=(), arguments=()):
    (tmp_path / "keeping_weights.py").write_text(KEEPING_WEIGHTS)
    command = [*launcher, "keeping_weights.py", *arguments]
    printed = printed_by(command, tmp_path, EXAMPLE=str(ROOT / "examples" / script))
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    for name in first.keys() | second.keys():
        if "running" not in name:  # of each rank's own rows, as norms are not synced on CPUs
            assert torch.equal(first[name], second[name]), name
    return printed


@pytest.fixture(scope="module")
def plain_loop(tmp_path_factory):
    path = tmp_path_factory.mktemp("loop")
    plain, noisy = printed_by([str(ROOT / "examples" / "pytorch_loop.py")], path)
    assert plain.split()[1:] != noisy.split()[2:]
    return plain, noisy


def test_workers_change_nothing(plain_loop, tmp_path):
    command = [str(ROOT / "examples" / "pytorch_loop.py"), "--workers", "1"]
    assert printed_by(command, tmp_path) == plain_loop


def test_lightning_does_what_the_plain_loop_does(plain_loop, tmp_path):
    pytest.importorskip("lightning", reason="the example needs Lightning: pip install lightning")
    assert printed_by([str(ROOT / "examples" / "lightning_loop.py")], tmp_path) == plain_loop


def test_two_ranks_train_one_network(tmp_path):
    of_two_ranks("ddp_loop.py", tmp_path, launcher=[*TORCHRUN, "--nproc-per-node=2"])


@pytest.mark.slow
def test_one_rank_does_what_the_plain_loop_does(plain_loop, tmp_path):
    command = [*TORCHRUN, "--nproc-per-node=1", str(ROOT / "examples" / "ddp_loop.py")]
    assert printed_by(command, tmp_path) == plain_loop


@pytest.mark.slow
def test_without_batch_norm_two_ranks_are_one(tmp_path):
    ends = []
    for n_ranks in (1, 2):
        path = tmp_path / str(n_ranks)
        path.mkdir()
        (path / "keeping_weights.py").write_text(WITHOUT_BATCH_NORM + KEEPING_WEIGHTS)
        command = [*TORCHRUN, f"--nproc-per-node={n_ranks}", "keeping_weights.py"]
        printed_by(command, path, EXAMPLE=str(ROOT / "examples" / "ddp_loop.py"))
        ends.append(torch.load(path / "rank0.pt"))
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_lightning_on_two_ranks_does_what_the_ddp_loop_does(tmp_path):
    pytest.importorskip("lightning", reason="the example needs Lightning: pip install lightning")
    (tmp_path / "ddp").mkdir()
    expected = of_two_ranks(
        "ddp_loop.py", tmp_path / "ddp", launcher=[*TORCHRUN, "--nproc-per-node=2"]
    )
    assert of_two_ranks("lightning_loop.py", tmp_path, arguments=["--devices", "2"]) == expected
