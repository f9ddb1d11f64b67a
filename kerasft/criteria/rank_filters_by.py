import numpy as np

from kerasft.criteria.by_name import CRITERIA
from kerasft.criteria.emd_borda import emd_borda
from kerasft.criteria.filters import count_filters
from kerasft.criteria.joint_criterion import JointCriterion
from kerasft.criteria.ranking_data import RankingData
from kerasft.layer_lookup import find_layer, named_layers
from kerasft.susceptibility import FilterRanking, LayerRanking, rank_filters
from kerasft.susceptibility.model_input import validate_model, validate_one_input
from kerasft.susceptibility.rank_filters import convolution_chains


def rank_filters_by(criterion, model, data, *, layers=None):
    """Rank the filters of convolution layers by any criterion.

    Criteria with a name:

    - `"emd_borda"`: the paper's, as `rank_filters` does it.
    - `"emd"`: mean earth mover's distance of clean and distorted feature maps.
    - `"kernel_norm"`: L2 norm of the kernel; needs no images.
    - `"random"`: by chance, always the same; for other draws pass
      `kerasft.criteria.random_criterion(seed)`.
    - `"gradient"`: squared gradient of the loss of the distorted images.
    - `"emd_gradient"`: the product of the two.
    - `"correction"`: DeepCorrect's, the accuracy gained when a filter's
      output is replaced by that of the clean image.

    Those with a gradient or a kernel rank `Conv2D`, `Conv1D` and `Conv3D`,
    the others every convolution.

    Args:
        criterion: One of these names, or a function `(model, data, layer)`
            from the name of a layer to an array `(filters,)`, larger for
            filters that should rather be tuned.
        model: A built `keras.Model`. It is not changed.
        data: A `RankingData` with what the criterion needs.
        layers: Names of convolutions (`nested_model/layer` where a bare name
            is not unique). Default: every `Conv2D`.

    Returns:
        A `FilterRanking`. But for `"emd_borda"`, the `mean_distance` of its
        layers holds the scores, and ties are broken by filter index.

    Raises:
        TypeError: `model` is not a `keras.Model`, `data` no `RankingData`,
            `criterion` neither a name nor a function, `layers` no list of
            names.
        ValueError: An unknown criterion or layer, data without what the
            criterion needs or that do not fit the model, a model with several
            inputs for a criterion that looks at images (`rank_filters` ranks
            it), or scores that are not one finite number for each filter.

    Example:

    >>> import kerasft
    >>> images, labels = kerasft.datasets.digits()
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> data = kerasft.RankingData(distorted=images[:20], labels=labels[:20])
    >>> ranking = kerasft.rank_filters_by("gradient", model, data, layers=["conv1"])
    >>> len(ranking.select(fraction=0.25)["conv1"])
    8
    """
    name, criterion = _find(criterion)
    validate_model(model, batch_size=1)
    if not isinstance(data, RankingData):
        raise TypeError(f"Expected data as a RankingData. Received: {type(data).__name__}.")
    # Before the work, whose result it stands in.
    images = data.images
    # Of several arrays the number would be that of the arrays.
    if images and criterion in CRITERIA.values():
        validate_one_input(model)
    names = list(convolution_chains(model, layers))
    if criterion is emd_borda:
        return rank_filters(model, *data.require("clean", "distorted"), layers=names)
    if isinstance(criterion, JointCriterion):
        scores_of = criterion.score_layers(model, data, names)
    else:
        scores_of = {layer: criterion(model, data, layer) for layer in names}
    found = named_layers(model)
    return FilterRanking(
        {
            layer: LayerRanking.from_scores(
                _validated(scores_of[layer], name, layer, found), images, name
            )
            for layer in names
        }
    )


def _find(criterion):
    if isinstance(criterion, str):
        if criterion not in CRITERIA:
            raise ValueError(
                f"Expected a criterion of {list(CRITERIA)}, or a function. Received: {criterion!r}."
            )
        return criterion, CRITERIA[criterion]
    if not callable(criterion):
        raise TypeError(
            f"Expected a criterion as a name or a function. Received: {type(criterion).__name__}."
        )
    return getattr(criterion, "__name__", type(criterion).__name__), criterion


def _validated(scores, criterion, layer, found):
    filters = count_filters(found[find_layer(layer, found)])
    expected = f"Expected {filters} finite scores of layer {layer!r} from criterion {criterion!r}."
    try:
        array = np.asarray(scores)
    except ValueError as error:
        raise ValueError(f"{expected} Received: parts of different lengths.") from error
    if array.dtype.kind not in "biuf" or array.shape != (filters,):
        raise ValueError(f"{expected} Received: dtype {array.dtype}, shape {array.shape}.")
    if not np.isfinite(array).all():
        broken = np.flatnonzero(~np.isfinite(array)).tolist()[:10]
        raise ValueError(f"{expected} Received: NaN or infinity for filters {broken}.")
    return array
