"""Time predict_proba against skorch's, with the same weights.

    python examples/benchmarks/predict.py --out results/benchmarks/predict.json

sklearn_open gets uint8 images. skorch's classifier, at its defaults, gets them as the network
needs them: float32 and normalised, which is not timed.
"""

from __future__ import annotations

import numpy as np
import torch
from _common import (
    Contestant,
    in_own_process,
    make_parser,
    parse,
    print_race,
    race,
    random_images,
    report,
)
from _contestants import (
    BACKBONES,
    fitted,
    ready_batch,
    skorch_net,
    skorch_predictions,
    train_on,
)

TOLERANCE = 1e-4  # of probabilities in float32
PAIRS = [("sklearn_open auto", "skorch"), ("sklearn_open float32", "skorch")]


def main() -> None:
    """Race once and compare the probabilities."""
    parser = make_parser(__doc__)
    parser.add_argument("--backbone", choices=["wrn16_2", "wrn28_10", "resnet18"])
    parser.add_argument("--images", type=int, default=10_000)
    parser.set_defaults(backbone="wrn16_2")
    args = parse(parser)
    if args.quick:
        args.images = 128
    X = random_images(args.images)
    factory = BACKBONES[args.backbone]

    ours = {name: fitted(factory, precision=name) for name in ("auto", "float32")}
    train_on(ours["float32"], [ready_batch(64, 16)] * 5)  # probabilities that differ
    weights = ours["float32"].module_.state_dict()
    ours["auto"].module_.load_state_dict(weights)
    module = factory(num_classes=10)
    module.load_state_dict(weights)
    theirs = skorch_net(module)
    X_ready = ours["float32"].transform_.evaluate(torch.from_numpy(X)).numpy()

    part = min(len(X), 256)  # to warm up on
    found = {
        f"sklearn_open {name}": Contestant(
            warm=lambda clf=clf: clf.predict_proba(X[:part]),
            run=lambda clf=clf: clf.predict_proba(X),
            amount=len(X),
        )
        for name, clf in ours.items()
    }
    found["skorch"] = in_own_process(skorch_predictions, module, X_ready, part)
    expected = theirs.predict_proba(X_ready)
    differences = {
        name: float(np.abs(clf.predict_proba(X) - expected).max()) for name, clf in ours.items()
    }
    if differences["float32"] > TOLERANCE:
        raise AssertionError(f"the probabilities differ: {differences}")
    result = {
        "backbone": args.backbone,
        "images": len(X),
        "largest_difference": differences,
        **race(found, args.turns, PAIRS),
    }
    report(args, __file__, [result])
    print_race(f"predict_proba, {args.backbone}, {len(X):,} images", result, "images")
    print(f"largest difference of a probability: {differences}")


if __name__ == "__main__":
    main()
