import numpy as np

from kerasft.criteria.filters import parameters_per_filter
from kerasft.layer_lookup import named_layers
from kerasft.susceptibility.model_input import validate_model
from kerasft.training_checks import validate_ranking
from kerasft.tunable import find_tunable
from kerasft.whole_number import is_whole


def select_within_budget(ranking, model, parameters, *, per_parameter=False):
    """Select the most affected filters of all layers that a number of parameters pays for.

    Filters of different layers are compared by what they have (Borda points,
    without votes distance or score) relative to the mean magnitude of their
    layer, since layers differ in units and in width; filters of one layer stay
    in the ranking's order, and ties go to the filter that stands higher in its
    layer. From the top down, each filter is taken that still fits.

    Args:
        ranking: A `FilterRanking` of `Conv2D`, `Conv1D` or `Conv3D` layers.
        model: The `keras.Model` that was ranked.
        parameters: At most so many parameters are trained: of each filter its
            slice of the kernel and its bias.
        per_parameter: Compare filters by what they have for each of their
            parameters instead. For scores that mean the same in all layers,
            such as those of the criterion `"gradient"`: the selection is then
            the one of this size whose scores add up to the most, but for what
            is left of the budget.

    Returns:
        Dictionary from layer name to a sorted list of filter indices; a layer
        that gets none is left out.

    Raises:
        TypeError: `model` is not a `keras.Model`, `ranking` no
            `FilterRanking`.
        ValueError: A ranking of another model, a layer whose filters cannot be
            trained one by one, or fewer parameters than the smallest filter
            has.

    Example:

    >>> import kerasft
    >>> images, _ = kerasft.datasets.digits()
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> ranking = kerasft.rank_filters(model, images[:20], kerasft.GaussianBlur(1.0))
    >>> selection = kerasft.select_within_budget(ranking, model, 1000)
    >>> sum({"conv1": 10, "conv2": 289}[name] * len(f) for name, f in selection.items()) <= 1000
    True
    """
    validate_model(model, batch_size=1)
    validate_ranking(ranking, model)
    layers = named_layers(model)
    costs = {name: parameters_per_filter(layers[find_tunable(name, layers)[0]]) for name in ranking}
    if not is_whole(parameters) or parameters < min(costs.values()):
        raise ValueError(
            "Expected parameters as a whole number that pays for one filter at least, "
            f"{min(costs.values())} or more. Received: {parameters!r}."
        )
    left, selection = int(parameters), {}
    for _, _, name, filter_ in sorted(
        _candidates(ranking, costs if per_parameter else None), key=lambda item: item[:2]
    ):
        # Filters of one layer cost the same, so none is passed over for a
        # lower one of its layer.
        if costs[name] <= left:
            left -= costs[name]
            selection.setdefault(name, []).append(filter_)
    return {name: sorted(selection[name]) for name in ranking if name in selection}


def _candidates(ranking, costs):
    """For each filter: its value, lower for more affected, its place, layer and index."""
    for name, layer in ranking.items():
        values = layer.mean_distance if layer.borda_counts is None else layer.borda_counts
        scale = np.abs(values).mean() or 1.0 if costs is None else costs[name]
        for place, filter_ in enumerate(layer.order.tolist()):
            yield -values[filter_] / scale, place, name, filter_
