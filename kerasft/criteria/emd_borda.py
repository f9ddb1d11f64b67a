from kerasft.criteria.joint_criterion import JointCriterion
from kerasft.susceptibility import rank_filters


@JointCriterion
def emd_borda(model, data, layers):
    """The paper's criterion: points that the images give the filters by Borda count.

    Needs pairs of clean and distorted images. `rank_filters_by` breaks ties by
    mean distance, too, as `rank_filters` does.

    Reference:
        Bianchi et al., arXiv 1904.03949, Section 3.2.
    """
    ranking = rank_filters(model, *data.require("clean", "distorted"), layers=layers)
    rankings = zip(layers, ranking.values(), strict=True)
    return {name: layer.borda_counts.astype("float64") for name, layer in rankings}
