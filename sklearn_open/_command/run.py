"""A command from its arguments to its exit status: errors are sentences, Ctrl-C keeps all."""

from __future__ import annotations

import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sklearn_open._command.arguments import PROGRAM, parse
from sklearn_open.exceptions import TrainingDivergedError

__all__ = ["run"]

# Parameters of the library, as its errors name them: what to type in place of them.
OPTIONS = {
    " with subset=None": "",
    "Pass the subset to load, one of": "Pass --subset, the one to load, one of",
    "allow_empty=True": "--skip-empty",
    "follow_links=True": "--follow-links",
    'on_error="skip"': "--skip-damaged",
    "(cv=...)": "(--folds)",
    "(groups=, or --groups-by of the command)": "(--groups-by)",
}
STOPPED = 130  # as a shell has it of Ctrl-C


def run(argv: Sequence[str]) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str
        Its name and arguments.

    Returns
    -------
    int
        Exit status: 0, 1 for what could not be done, 2 for wrong arguments, 130 for Ctrl-C.
    """
    args = parse(argv)
    command = shlex.join([*PROGRAM.split(), *argv])
    try:
        with _told_in_sentences():
            _dispatch(args, command)
    except (ValueError, OSError, ImportError, TrainingDivergedError) as error:
        print(f"{PROGRAM} {args.command}: {_as_options(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"Stopped.{_what_is_kept(args)}", file=sys.stderr)
        return STOPPED
    return 0


def _dispatch(args: Any, command: str) -> None:
    if args.command == "compare":
        from sklearn_open._command.compare import compare

        compare(args, command)
    elif args.command == "train":
        from sklearn_open._command.train import train

        train(args)
    else:
        from sklearn_open._command.predict import predict

        predict(args)


def _what_is_kept(args: Any) -> str:
    if args.command == "predict":
        return ""
    return f" What is done is kept beside {args.out}: the same command goes on."


def _as_options(text: str) -> str:
    """Return what the library says of its parameters as options of the command."""
    for parameter, option in OPTIONS.items():
        text = text.replace(parameter, option)
    return re.sub(r"\b(subset|pattern|size|mode)=('[^']*'|\d+|\([^)]*\))", r"--\1 \2", text)


@contextmanager
def _told_in_sentences() -> Iterator[None]:
    """Show warnings as notes, without the line of code that they come from."""

    def show(message: Any, *_: Any, **__: Any) -> None:
        print(f"Note: {_as_options(str(message))}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
