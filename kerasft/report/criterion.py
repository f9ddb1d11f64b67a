def criterion_of(layer):
    """The criterion whose scores a layer's `mean_distance` holds; `None`: they are distances.

    Args:
        layer: A `LayerRanking`, or what has the attributes that a `Report`
            takes, of which `criterion` may be missing.
    """
    return getattr(layer, "criterion", None)
