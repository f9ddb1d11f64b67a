"""The order in which calls of layers are measured, some of which are called several times."""

import collections

import numpy as np
from keras import ops

from kerasft.listening import listen


def calls_by_layer(layers, run):
    """Each call of each layer, those of one layer together and after all that feeds them.

    A backbone that is called on two inputs calls each of its layers twice, and a layer in
    it is ready to be left only when both calls are known: what is above is given the
    outputs of both. Where layers feed each other, as one that is given what was made of
    its own output, no order is right, and theirs is that of the calls.

    Args:
        layers: The layers, each once.
        run: Function without arguments that calls the model on a batch of images.

    Returns:
        List of layer and index, which of the layer's calls it is, from 0.
    """
    calls, seen = [], collections.Counter()
    for layer, _ in _hear(layers, run):
        calls.append((layer, seen[id(layer)]))
        seen[id(layer)] += 1
    if len(seen) == len(calls):
        return calls
    feeding = _feeding(list({id(layer): layer for layer, _ in calls}.values()), run)
    ordered = []
    while calls:
        waiting = {id(layer) for layer, _ in calls}
        ready = next((layer for layer, _ in calls if not feeding[id(layer)] & waiting), None)
        taken = [call for call in calls if call[0] is ready] or calls[:1]
        ordered += taken
        calls = [call for call in calls if call not in taken]
    return ordered


def _feeding(layers, run):
    """For the `id` of each layer those of the others that what it is given depends on.

    Found by trying, since layers inside layers are in no graph of Keras: NaN in the place
    of a layer's outputs changes all that is made of them.
    """
    feeding = {id(layer): set() for layer in layers}
    expected = [given for _, given in _hear(layers, run, keep=True)]
    for source in layers:
        found = _hear(layers, run, keep=True, broken=source)
        for (layer, given), usual in zip(found, expected, strict=True):
            if layer is not source and not _same(given, usual):
                feeding[id(layer)].add(id(source))
    return feeding


def _hear(layers, run, keep=False, broken=None):
    """Every call in order: the layer and, if asked for, what it was given of the first image."""
    heard = []

    def hear(layer, given, result):
        given = ops.convert_to_numpy(ops.cast(given[:1], "float32")) if keep else None
        heard.append((layer, given))
        return ops.full_like(result, float("nan")) if layer is broken else None

    with listen(layers, hear):
        run()
    return heard


def _same(given, usual):
    # Kernels of an accelerator may round otherwise in another run. NaN is never the same.
    with np.errstate(all="ignore"):
        return bool(np.abs(given - usual).max() <= 1e-3 * np.abs(usual).max())
