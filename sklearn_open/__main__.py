"""``python -m sklearn_open`` runs the demonstration, or a command."""

import signal
import sys

from sklearn_open._command.arguments import COMMANDS, PROGRAM

HELP = f"""usage: {PROGRAM} [compare | train | predict | (nothing)] ...

{chr(10).join(f"  {name:<9}{text}" for name, text in COMMANDS.items())}
  (nothing) runs the demonstration: three methods on scikit-learn's digits

{PROGRAM} compare --help says more, and so for the others.
"""


def main(argv: list[str]) -> int:
    """Run what was asked for, and return the exit status."""
    if argv and argv[0] in COMMANDS:
        from sklearn_open._command.run import run

        return run(argv)
    if argv and argv[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if argv and not argv[0].startswith("-"):
        print(f"There is no command {argv[0]!r}.\n\n{HELP}", end="", file=sys.stderr)
        return 2
    from sklearn_open._demo import main as demonstrate

    try:
        demonstrate(argv)
    except KeyboardInterrupt:
        print("Stopped. Nothing was written: chart and numbers need all runs.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: fits end after a step
    sys.exit(main(sys.argv[1:]))
