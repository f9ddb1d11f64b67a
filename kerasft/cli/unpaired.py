import dataclasses

from kerasft.susceptibility import rank_filters, rank_filters_from_exemplars
from kerasft.susceptibility.exemplar_features import validate_exemplar_options


@dataclasses.dataclass(frozen=True)
class Unpaired:
    """The options of a ranking without pairs.

    Attributes:
        features: What exemplars are found by, `"pixels"` or `"feature_maps"`.
        metric: `"euclidean"` or `"hamming"`.
        exemplars: Number of exemplars of each set.
    """

    features: str
    metric: str
    exemplars: int

    @classmethod
    def from_options(cls, unpaired, features, metric, exemplars):
        """The options, or `None` for a ranking on pairs.

        Raises:
            ValueError: Options of a ranking without pairs, but not
                `--unpaired`; Hamming on pixels.
        """
        if not unpaired:
            given = {"features": features, "metric": metric, "exemplars": exemplars}
            named = [f"--{name}" for name, value in given.items() if value is not None]
            if named:
                raise ValueError(f"Expected --unpaired with {named[0]}. Received: no --unpaired.")
            return None
        options = cls(features or "pixels", metric or "euclidean", exemplars or 1)
        validate_exemplar_options(options.features, options.metric)
        return options


def rank(model, clean, distorted, layers, unpaired):
    """Rank filters on pairs, or without where `unpaired` is given.

    Args:
        model: A `keras.Model`.
        clean: Clean images in the range that the model takes.
        distorted: Distorted images.
        layers: Names of layers or `None`.
        unpaired: `Unpaired` or `None`.

    Returns:
        A `FilterRanking`.
    """
    if unpaired is None:
        return rank_filters(model, clean, distorted, layers=layers)
    return rank_filters_from_exemplars(
        model, clean, distorted, layers=layers, **dataclasses.asdict(unpaired)
    )
