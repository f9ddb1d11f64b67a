import functools


class JointCriterion:
    """A criterion that scores the filters of several layers in one pass over the images.

    To be called like any criterion, `(model, data, layer)`; `rank_filters_by`
    asks for all layers at once. A decorator.

    Args:
        score_layers: Function `(model, data, layers)` from a list of layer
            names to a dictionary from the same names, in this order, to the
            scores of each layer's filters.
    """

    def __init__(self, score_layers):
        self.score_layers = score_layers
        functools.update_wrapper(self, score_layers)

    def __call__(self, model, data, layer):
        return self.score_layers(model, data, [layer])[layer]
