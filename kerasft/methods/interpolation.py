import numpy as np

from kerasft.evaluation import predict_classes
from kerasft.methods.copies import copy_model

# Of the way from the weights before training to those after it.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)

# Where kept images set a limit it lies between those.
FINER_SHARES = tuple(np.linspace(0, 1, 9).tolist())

# What may be lost on images that are to be kept, as a share of them.
ALLOWED_LOSS = 0.015


def interpolate(before, after, images, labels, kept=None):
    """Go as far from the weights before training to those after it as validation images ask for.

    Training on few images goes too far: between both ends a network often does
    better than at either of them, on what it was trained for and on what it
    knew before. At worst the model before training is kept.

    Args:
        before: The `keras.Model` before training.
        after: The same after training, of the same architecture.
        images: Validation images.
        labels: Their labels, integers.
        kept: `(images, labels)` on which accuracy may fall by `ALLOWED_LOSS`
            below that of `before`, and no further; labels integers. Default:
            none.

    Returns:
        The `keras.Model` of `SHARES`, with `kept` of `FINER_SHARES`, with the
        highest accuracy; of equals the one nearest to `before`.

    Raises:
        ValueError: `before` gives NaN.

    Reference:
        M. Wortsman et al., *Robust fine-tuning of zero-shot models*, CVPR 2022
        (arXiv 2109.01903).
    """
    ends = before.get_weights(), after.get_weights()
    # Twice, as in `nothing`, to be of the class of `before`.
    model, candidates = copy_model(copy_model(before), give_back=True), []
    least = None if kept is None else _correct(before, *kept) - ALLOWED_LOSS * len(kept[1])
    for share in SHARES if kept is None else FINER_SHARES:
        weights = [_between(*pair, share) for pair in zip(*ends, strict=True)]
        model.set_weights(weights)
        try:
            if least is None or _correct(model, *kept) >= least:
                candidates.append((_correct(model, images, labels), weights))
        except ValueError:
            # NaN comes out where the training diverged; the model before gives numbers.
            if share == 0:
                raise
    # Of equals the first.
    model.set_weights(max(candidates, key=lambda candidate: candidate[0])[1])
    return model


def _correct(model, images, labels):
    """Number of images that a model gives their label."""
    return np.count_nonzero(predict_classes(model, images) == labels)


def _between(before, after, share):
    # Exact at both ends, and for weights that are no floats, which nothing trains.
    if share == 0 or (before == after).all():
        return before
    return after if share == 1 else ((1 - share) * before + share * after).astype(before.dtype)
