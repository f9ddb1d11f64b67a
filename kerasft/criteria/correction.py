import keras
import numpy as np

from kerasft.backend import predict_batch, predict_without_slow_jit
from kerasft.criteria.filters import count_filters
from kerasft.criteria.labelled import labelled_loss
from kerasft.criteria.trainable_copy import trainable_copy
from kerasft.frozen_prefix import split_at_frozen_prefix
from kerasft.layer_lookup import find_convolution, named_layers
from kerasft.listening import listen
from kerasft.outputs import choose_classes
from kerasft.progress import track
from kerasft.susceptibility.feature_maps import FeatureMaps
from kerasft.susceptibility.pairs import stream_pairs

_BATCH_SIZE = 64


def correction(model, data, layer):
    """Accuracy gained when a filter's feature map is replaced by that of the clean image.

    What DeepCorrect ranks by. Accuracies are counts and often tie; among equal
    ones the mean loss decides: the score is the number of images gained plus
    `d / (1 + |d|) / 2`, less than half an image, where `d` is the decrease of
    the mean cross-entropy, all over the number of images. It is negative where
    the clean map does harm.

    The layers below are run once for each image, the layer itself and those
    above once for each filter, too: by far the most costly criterion.

    Needs pairs of clean and distorted images and their labels, and a
    Functional or Sequential model; the layer may be any convolution.

    Reference:
        T. Borkar, L. Karam, *DeepCorrect: correcting DNN models against image
        distortions*, IEEE Transactions on Image Processing 2019 (arXiv
        1705.02406), Section 3.
    """
    clean, distorted, labels = data.require("clean", "distorted", "labels")
    find_convolution(layer, named_layers(model))
    copy, (target,) = trainable_copy(model, [layer])
    loss = labelled_loss(copy, distorted, labels, "none")
    # Nothing but the layer can be trained, so the cut is below it.
    split = split_at_frozen_prefix(copy)
    upper = copy if split is None else split.suffix
    maps_of = FeatureMaps(upper, {layer: [target]})
    corrected = _Corrected(upper, target)
    filters = count_filters(target)
    # The last row corrects none.
    masks = np.eye(filters + 1, filters, dtype=bool)
    right, losses = np.zeros(filters + 1), np.zeros(filters + 1)
    batches = stream_pairs(clean, distorted, _BATCH_SIZE)
    total = -(-len(labels) // _BATCH_SIZE)
    start = 0
    for pair in track(batches, total, f"Correcting {layer}"):
        clean_batch, distorted_batch = pair if split is None else (_at_cut(split, x) for x in pair)
        clean_maps = maps_of.compute_calls(clean_batch)[layer]
        # Once for all filters.
        inputs = keras.tree.map_structure(
            keras.ops.convert_to_tensor, (distorted_batch, clean_maps)
        )
        truth = labels[start : start + _BATCH_SIZE]
        start += _BATCH_SIZE
        for row, mask in enumerate(masks):
            outputs = predict_batch(corrected, (*inputs, mask))
            classes = choose_classes(outputs, loss.from_logits)
            right[row] += (classes == _label_classes(truth)).sum()
            losses[row] += keras.ops.convert_to_numpy(loss(truth, outputs)).sum(dtype="float64")
    decrease = (losses[-1] - losses[:-1]) / len(labels)
    return (right[:-1] - right[-1] + decrease / (1 + np.abs(decrease)) / 2) / len(labels)


def _at_cut(split, images):
    return keras.tree.flatten(predict_batch(split.prefix, images))


def _label_classes(labels):
    return labels.argmax(axis=1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.ravel()


class _Corrected(keras.Model):
    """A model in which some feature maps of a layer are replaced.

    Call arguments: what `model` takes, the list of the layer's feature maps,
    channels last, one for each of its calls, that are to stand in for its own,
    and for each filter whether they do.
    """

    def __init__(self, model, layer):
        super().__init__(name="corrected", autocast=False)
        self.model = model
        self.layer = layer
        predict_without_slow_jit(self)

    def call(self, inputs):
        images, replacements, mask = inputs
        waiting = iter(replacements)

        def replace(layer, _, maps):
            maps_instead = next(waiting)
            if layer.data_format == "channels_first":
                last_first = [0, len(maps.shape) - 1, *range(1, len(maps.shape) - 1)]
                maps_instead = keras.ops.transpose(maps_instead, last_first)
                which = keras.ops.reshape(mask, [1, -1] + [1] * (len(maps.shape) - 2))
            else:
                which = mask
            return keras.ops.where(which, keras.ops.cast(maps_instead, maps.dtype), maps)

        with listen([self.layer], replace):
            return self.model(images, training=False)
