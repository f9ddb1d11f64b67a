from kerasft.criteria.relative_gradient_norms import relative_gradient_norms
from kerasft.susceptibility.model_input import validate_model
from kerasft.susceptibility.rank_filters import convolution_chains
from kerasft.whole_number import is_whole


def choose_layers(model, data, count, layers=None):
    """Choose the layers to fine-tune: those with the largest relative gradient.

    Args:
        model: A built Functional or Sequential classifier. It is not changed.
        data: `RankingData` with distorted images and labels.
        count: How many, from 1 to the number of `layers`.
        layers: Names of `Conv1D`, `Conv2D` or `Conv3D` layers to choose from.
            Default: every `Conv2D`.

    Returns:
        List of layer names, the largest ratio of gradient to weights first;
        ties in the order of `layers`.

    Raises:
        TypeError: `model` is not a `keras.Model`.
        ValueError: A count out of range, or as `rank_filters_by("gradient", …)`.

    Example:

    >>> import kerasft
    >>> images, labels = kerasft.datasets.digits()
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> data = kerasft.RankingData(distorted=images[:20], labels=labels[:20])
    >>> len(kerasft.choose_layers(model, data, 1))
    1

    Reference:
        Y. Lee et al., *Surgical fine-tuning improves adaptation to
        distribution shifts*, ICLR 2023 (arXiv 2210.11466), Auto-RGN.
    """
    validate_model(model, batch_size=1)
    names = list(convolution_chains(model, layers))
    if not is_whole(count) or not 1 <= count <= len(names):
        raise ValueError(f"Expected a count from 1 to {len(names)}. Received: {count!r}.")
    norms = relative_gradient_norms(model, data, names)
    return sorted(names, key=lambda name: -norms[name])[:count]
