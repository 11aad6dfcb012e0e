"""Start a script on several ranks, as torchrun does, or by torchrun, which takes some seconds more.

The ranks are forked from a process that has imported the package, once for all of them.
"""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
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
    """Run a script on some ranks, and kill those that are there after `timeout` seconds.

    With `check`, AssertionError is raised, with all that was printed, unless all of them exit by 0.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [__file__, folder, str(n_ranks), str(script), *map(str, arguments)]
        parent = _run(command, timeout)
        ended = [
            Ended(
                int(_text(folder, f"{rank}.code") or 0) if parent.code == 0 else None,
                _text(folder, f"{rank}.out"),
                _text(folder, f"{rank}.err"),
            )
            for rank in range(n_ranks)
        ]
    if check:
        assert [rank.code for rank in ended] == [0] * n_ranks, as_text([*ended, parent])
    return ended


def torchrun(
    script: Path, n_ranks: int, *arguments: Any, timeout: float = 60, check: bool = True
) -> Ended:
    """Run a script by torchrun; what is returned is torchrun's own."""
    options = [*TORCHRUN, f"--nproc_per_node={n_ranks}"]
    ended = _run([*options, str(script), *map(str, arguments)], timeout)
    assert ended.code == 0 or not check, as_text([ended])
    return ended


def as_text(ended: Sequence[Ended]) -> str:
    """Return all that processes have printed."""
    return "\n".join(
        f"--- process {i} ended with {process.code}\n{process.out}{process.err}"
        for i, process in enumerate(ended)
    )


def _run(command: list[str], timeout: float) -> Ended:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # Files, as a pipe that nobody reads would make its writer wait.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, *command], env=env, stdout=out, stderr=err, start_new_session=True
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        err.seek(0)
        return Ended(code, out.read(), err.read())


def _text(folder: str, name: str) -> str:
    path = Path(folder, name)
    return path.read_text() if path.exists() else ""


# --- in the process that ranks are forked from ---


def main(folder: str, n_ranks: str, script: str, *arguments: str) -> None:
    """Fork the ranks, run the script on each of them, and write how they have ended."""
    import sklearn_open  # noqa: F401

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": n_ranks}
    processes = []
    for rank in range(int(n_ranks)):
        process = os.fork()
        if not process:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            _print_to(folder, rank)
            sys.argv = [script, *arguments]
            runpy.run_path(script, run_name="__main__")
            return
        processes.append(process)
    for rank, process in enumerate(processes):
        _, status = os.waitpid(process, 0)
        Path(folder, f"{rank}.code").write_text(str(os.waitstatus_to_exitcode(status)))


def _print_to(folder: str, rank: int) -> None:
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(Path(folder, f"{rank}.{name}"), os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
