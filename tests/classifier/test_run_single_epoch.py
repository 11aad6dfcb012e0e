"""What an epoch records."""

import torch
from skorch.callbacks import Callback
from skorch.history import History

from sklearn_open import OPeNClassifier


def make(module=None, **kwargs):
    settings = {"max_epochs": 3, "start_epoch": 1, "lr": 0.05, "batch_size": 16}
    return OPeNClassifier(module, **{**settings, "random_state": 0, "verbose": 0, **kwargs})


def test_losses_are_numbers_once_an_epoch_has_ended(images):
    class Peek(Callback):
        def on_batch_end(self, net, training, **kwargs):
            self.last = net.history[-1, "batches", -1, "train_loss"]

    clf = make(callbacks=[("peek", Peek())]).fit(*images)
    assert isinstance(dict(clf.callbacks_)["peek"].last, torch.Tensor)  # nobody waited for it
    losses = clf.history[:, "batches", :, "train_loss"]
    assert all(type(loss) is float for epoch in losses for loss in epoch)


def test_an_interrupted_epoch_has_numbers_too(images, tmp_path):
    class Stop(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    clf = make(callbacks=[Stop()]).fit(*images)
    clf.history.to_file(tmp_path / "history.json")
    kept = History.from_file(tmp_path / "history.json")
    assert kept[0, "batches", 0, "train_loss"] == clf.history[0, "batches", 0, "train_loss"] > 0
