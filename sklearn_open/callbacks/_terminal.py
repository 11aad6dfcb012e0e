"""Whether what is printed is seen on a terminal, or kept in a file."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["is_terminal", "takes_colours"]


def is_terminal(stream: Any) -> bool:
    """Tell whether a stream is a terminal, on which a line can be written over.

    Parameters
    ----------
    stream : file object or None
        As `sys.stderr` is now: it may have been redirected, closed or never been there.
    """
    try:
        return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # none, or closed
        return False


def takes_colours(stream: Any) -> bool:
    """Tell whether a stream is a terminal that may have colours: https://no-color.org."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")
