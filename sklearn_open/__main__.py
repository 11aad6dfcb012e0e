"""``python -m sklearn_open`` runs the demonstration, or a command."""

import signal
import sys


def main(argv: list[str]) -> int:
    """Run what was asked for, and return the exit status."""
    from sklearn_open._command.arguments import COMMANDS, HELP

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
    try:
        status = main(sys.argv[1:])
    except KeyboardInterrupt:  # while modules are imported
        print("Stopped.", file=sys.stderr)
        status = 130
    sys.exit(status)
