"""Gradients are averaged over the ranks, after every backward pass.

Not by torch's DistributedDataParallel: it holds on to the process group, so that a rank that fails
could not close it and others would wait; and it must know when it is made which parameters are
trained, which callbacks change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from sklearn_open._distributed.ranks import Ranks

__all__ = ["average_gradients"]

BUCKET_BYTES = 25 * 2**20  # that travel at once, as in DistributedDataParallel


def average_gradients(parameters: Iterable[torch.Tensor], ranks: Ranks) -> None:
    """Put the mean over ranks in the place of each gradient.

    A parameter that has a gradient on no rank is left without; one that has it on some ranks
    counts as 0 on the others.

    Parameters
    ----------
    parameters : iterable of torch.Tensor
        The same on all ranks.
    ranks : Ranks
        Of this training.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    # Asked by the CPU, as a GPU's queue would run empty while its answer is waited for.
    somewhere = ranks.anywhere([parameter.grad is not None for parameter in trained])
    for bucket in _buckets([p for p, has_grad in zip(trained, somewhere, strict=True) if has_grad]):
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        ranks.add_up(flat)
        flat /= ranks.share.n_ranks
        for parameter, mean in zip(bucket, flat.split([g.numel() for g in grads]), strict=True):
            if parameter.grad is None:
                parameter.grad = mean.view(parameter.shape).clone()
            else:
                parameter.grad.copy_(mean.view(parameter.shape))


def _buckets(parameters: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Yield parameters of one kind, together of about the size of a bucket."""
    bucket: list[torch.Tensor] = []
    n_bytes = 0
    for parameter in parameters:
        alike = not bucket or (bucket[0].dtype, bucket[0].device) == (
            parameter.dtype,
            parameter.device,
        )
        if bucket and (not alike or n_bytes >= BUCKET_BYTES):
            yield bucket
            bucket, n_bytes = [], 0
        bucket.append(parameter)
        n_bytes += parameter.numel() * parameter.element_size()
    if bucket:
        yield bucket
