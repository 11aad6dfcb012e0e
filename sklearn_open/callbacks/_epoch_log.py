"""The table of epochs, a line for each, coloured on a terminal only."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

from skorch.callbacks import PrintLog

from sklearn_open.callbacks._terminal import takes_colours

__all__ = ["EpochLog"]

NOT_SHOWN = {"n_translated", "class_rates"}  # a table of lines has no room for them
COLOUR = re.compile(r"\x1b\[\d*m")
# Ray puts a function of its own in the place of `print`, when the default has been bound already.
DEFAULT_SINK = inspect.signature(PrintLog).parameters["sink"].default


class EpochLog(PrintLog):
    """The table of epochs: skorch's `PrintLog`, with colours on a terminal only.

    What goes to a file, a pipe or a notebook is plain text, and so is what a ``sink`` of your own
    gets. The environment variable ``NO_COLOR`` keeps a terminal plain, too. Parameters are those of
    `skorch.callbacks.PrintLog`, set by ``callbacks__print_log__...``; `OPeNClassifier` has one as
    its callback ``print_log``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_open import OPeNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> lines = []
    >>> clf = OPeNClassifier(max_epochs=1, callbacks__print_log__sink=lines.append).fit(X, y)
    >>> len(lines)  # a head of two lines, and a line for the epoch
    3
    """

    def initialize(self) -> EpochLog:
        """Leave out what is recorded of some epochs only."""
        super().initialize()
        self.keys_ignored_ |= NOT_SHOWN
        return self

    def table(self, row: Any) -> str:
        """Return the table of one epoch, of which one line or all are printed."""
        text = str(super().table(row))
        coloured = self._prints and takes_colours(sys.stdout)
        return text if coloured else COLOUR.sub("", text)

    @property
    def _prints(self) -> bool:
        return self.sink in (DEFAULT_SINK, print)

    def _sink(self, text: str, verbose: int) -> None:
        if verbose or not self._prints:
            self.sink(text)
