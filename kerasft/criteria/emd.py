from kerasft.criteria.joint_criterion import JointCriterion
from kerasft.susceptibility import rank_filters


@JointCriterion
def emd(model, data, layers):
    """Mean earth mover's distance between each filter's clean and distorted feature maps.

    Needs pairs of clean and distorted images.
    """
    ranking = rank_filters(model, *data.require("clean", "distorted"), layers=layers)
    rankings = zip(layers, ranking.values(), strict=True)
    return {name: layer.mean_distance for name, layer in rankings}
