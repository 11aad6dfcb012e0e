"""What `criterion=` takes: any loss of torch's form, the mean over the rows of a batch."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_open import OPeNClassifier

SETTINGS = {"max_epochs": 2, "start_epoch": 1, "batch_size": 16, "random_state": 0, "verbose": 0}


class SmoothedLoss(nn.Module):
    """A throw-away loss: cross entropy with labels that are never sure."""

    def __init__(self, amount=0.1):
        super().__init__()
        self.amount = amount

    def forward(self, logits, codes):
        """Return the loss of a batch."""
        return nn.functional.cross_entropy(logits, codes, label_smoothing=self.amount)


def test_a_new_one_needs_a_class(images, tmp_path):
    clf = OPeNClassifier(criterion=SmoothedLoss, criterion__amount=0.2, **SETTINGS).fit(*images)
    same = OPeNClassifier(criterion__label_smoothing=0.2, **SETTINGS).fit(*images)
    torch.testing.assert_close(clf.module_.state_dict(), same.module_.state_dict(), rtol=0, atol=0)
    np.testing.assert_array_equal(clf.predict_proba(images[0]), same.predict_proba(images[0]))

    clf.save(tmp_path / "clf.safetensors")
    with pytest.raises(ValueError, match=r"criterion \(.*SmoothedLoss\).*criterion=\.\.\."):
        OPeNClassifier.load(tmp_path / "clf.safetensors")
    again = OPeNClassifier.load(tmp_path / "clf.safetensors", criterion=SmoothedLoss)
    np.testing.assert_array_equal(again.predict_proba(images[0]), clf.predict_proba(images[0]))
