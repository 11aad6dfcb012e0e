"""Start a script on several ranks, as torchrun does; torchrun itself takes some seconds more."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone")


class Ended(NamedTuple):
    """How a process has ended."""

    code: int | None  # None: it had not, and was killed
    out: str
    err: str


def launch(
    script: Path, n_ranks: int, *arguments: Any, timeout: float = 60, check: bool = True
) -> list[Ended]:
    """Run a script in `n_ranks` processes, and kill those that are there after `timeout` seconds.

    With `check`, AssertionError is raised, with all that was printed, unless all of them exit by 0.
    """
    port = str(_free_port())
    environments = [
        {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(n_ranks)}
        | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        for rank in range(n_ranks)
    ]
    ended = _run([str(script), *map(str, arguments)], environments, timeout)
    if check:
        assert [process.code for process in ended] == [0] * n_ranks, as_text(ended)
    return ended


def torchrun(script: Path, n_ranks: int, *arguments: Any, timeout: float = 60) -> Ended:
    """Run a script by torchrun; what is returned is torchrun's own."""
    command = [*TORCHRUN, f"--nproc_per_node={n_ranks}", str(script), *map(str, arguments)]
    return _run(command, [{}], timeout)[0]


def as_text(ended: Sequence[Ended]) -> str:
    """Return all that the processes have printed."""
    return "\n".join(
        f"--- rank {rank} ended with {process.code}\n{process.out}{process.err}"
        for rank, process in enumerate(ended)
    )


def _run(command: list[str], environments: list[dict[str, str]], timeout: float) -> list[Ended]:
    common = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    end = time.monotonic() + timeout
    # Files, as a pipe that nobody reads would make its writer wait.
    with tempfile.TemporaryDirectory() as folder:
        outputs = [
            (open(Path(folder, f"{i}.out"), "w+"), open(Path(folder, f"{i}.err"), "w+"))
            for i in range(len(environments))
        ]
        processes = [
            subprocess.Popen(
                [sys.executable, *command], env=common | own, stdout=out, stderr=err, text=True
            )
            for own, (out, err) in zip(environments, outputs, strict=True)
        ]
        codes = [_code_of(process, end) for process in processes]
        return [
            Ended(code, *(_content(file) for file in files))
            for code, files in zip(codes, outputs, strict=True)
        ]


def _code_of(process: subprocess.Popen[str], end: float) -> int | None:
    try:
        return process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.terminate()  # so that torchrun ends its ranks as well
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return None


def _content(file: Any) -> str:
    with file:
        file.seek(0)
        content: str = file.read()
        return content


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
