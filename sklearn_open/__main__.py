"""``python -m sklearn_open`` runs the demonstration."""

import signal
import sys

from sklearn_open._demo import main

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: fits end after a step
    try:
        main()
    except KeyboardInterrupt:
        print("Stopped. Nothing was written: chart and numbers need all runs.", file=sys.stderr)
        sys.exit(130)
