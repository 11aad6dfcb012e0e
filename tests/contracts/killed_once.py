"""A callback that workers of a cluster can import."""

import os
import signal
from pathlib import Path

from skorch.callbacks import Callback


class KilledOnce(Callback):
    """Kills the process at the end of an epoch, if no other has done so before."""

    def __init__(self, folder):
        self.folder = folder

    def on_epoch_end(self, net, **kwargs):
        try:
            with Path(self.folder, "killed").open("x") as file:
                file.write(f"{os.getpid()} {len(net.history)}")
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
