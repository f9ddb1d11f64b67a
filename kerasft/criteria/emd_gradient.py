from kerasft.criteria.emd import emd
from kerasft.criteria.gradient import gradient
from kerasft.criteria.joint_criterion import JointCriterion


@JointCriterion
def emd_gradient(model, data, layers):
    """Product of what the distortion does to a filter and of what tuning it would help.

    Mean earth mover's distance times squared gradient, each as a share of its
    sum over the layer; a factor whose sum is 0 is left at 0.

    Needs pairs of clean and distorted images and their labels.
    """
    data.require("clean", "distorted", "labels")
    distances = emd.score_layers(model, data, layers)
    gradients = gradient.score_layers(model, data, layers)
    return {name: _shares(distances[name]) * _shares(gradients[name]) for name in layers}


def _shares(scores):
    return scores / (scores.sum() or 1.0)
