import contextlib


@contextlib.contextmanager
def listen(layers, hear):
    """Hear of every call of some layers while the block runs.

    Works on any model, nested, shared or subclassed. Keras has no hooks, so
    each layer's `call` is shadowed by an attribute of the instance and
    uncovered afterwards.

    Args:
        layers: The layers, each once.
        hear: Function of a layer, what it was given and what it returned,
            called after each of its calls, in order. What it raises ends the
            model's call. What it returns, unless
            `None`, stands in for what the layer returned.
    """

    def cover(layer):
        original = layer.call

        def call(*args, **kwargs):
            result = original(*args, **kwargs)
            heard = hear(layer, next(iter((*args, *kwargs.values()))), result)
            return result if heard is None else heard

        layer.call = call

    for layer in layers:
        cover(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call
