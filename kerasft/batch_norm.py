"""Batch normalization made to fit other images, without labels."""

import math
import numbers

import keras
from keras import ops

from kerasft.backend import predict_batch
from kerasft.call_order import calls_by_layer
from kerasft.input_moments import InputMoments, as_input_of
from kerasft.layer_lookup import named_layers
from kerasft.moments import Moments
from kerasft.progress import track
from kerasft.rebuild import rebuild
from kerasft.stand_in import StandIn
from kerasft.sublayers import sublayers
from kerasft.susceptibility.batches import count_rows, is_finite, refuse_endless, stream_batches
from kerasft.susceptibility.model_input import validate_model, validate_model_input

PRIOR = 16


def recalibrate_batch_norm(model, images, *, prior=PRIOR, batch_size=64):
    """Fit the statistics of batch normalization to other images, without labels.

    A distortion shifts and scales what reaches a batch normalization, which goes
    on normalizing by the mean and variance of the images that the model was
    trained on. Here both are measured on the images given, over all of them and
    all positions, and mixed with those of the source: N images weigh
    N/(N + `prior`). Layers are taken from the inputs up, each in all of its calls and
    with those below it recalibrated already, so the images are read once for each
    call. Nothing is trained.

    Args:
        model: A built Functional or Sequential `keras.Model` with
            `BatchNormalization` layers, those in nested models and inside
            other layers included; they may be frozen. It is not changed.
        images: The images to recalibrate for, anything that `model.predict`
            takes and that can be read more than once: an array
            `(images, height, width, channels)`, a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a PyTorch `DataLoader`. Of batches that
            are tuples `(images, labels, …)` the images are used.
        prior: The number of images that the source statistics count for. With
            0 the images given count alone; the fewer they are, the more it
            helps to trust the source.
        batch_size: Images that are run together; the result does not depend
            on it.

    Returns:
        A new `keras.Model` with the same layers and weights but for
        `moving_mean` and `moving_variance`; not compiled. A layer that is called
        several times has statistics of all its calls. Where layers feed each other, as
        one that is given what was made of its own output, each call is measured with
        the ones before it; else a layer has the statistics of what reaches it in the
        returned model, mixed with those of the source.

    Raises:
        TypeError: `model` is not a `keras.Model`, or images that can be read
            only once.
        ValueError: A model without batch normalization, not built or wired in
            code, a setting out of range, no images, images of another shape,
            NaN or infinity in images or in what reaches a batch normalization,
            or a dataset that does not end.

    Example:

    >>> import keras, kerasft
    >>> images, labels = kerasft.datasets.digits()
    >>> noisy = kerasft.additive_white_gaussian_noise(images, 50, seed=0)
    >>> layers = [keras.layers.Rescaling(1 / 255), keras.layers.BatchNormalization(name="norm")]
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    >>> recalibrated = kerasft.recalibrate_batch_norm(model, noisy, prior=0)
    >>> bool(abs(recalibrated.get_layer("norm").moving_mean[0] - (noisy / 255).mean()) < 1e-5)
    True

    Reference:
        Schneider et al., *Improving robustness against common corruptions by
        covariate shift adaptation*, arXiv 2006.16971; Nado et al., arXiv
        2006.10963, for `prior=0`.
    """
    validate_model(model, batch_size)
    number = isinstance(prior, numbers.Real) and not isinstance(prior, bool)
    if not number or not 0 <= prior < math.inf:
        raise ValueError(f"Expected prior as a finite number of at least 0. Received: {prior!r}.")
    if not all_batch_normalizations(model):
        raise ValueError(
            f"Expected a model with batch normalization. Received: {model.name!r}, which has none."
        )
    clone, _ = rebuild(model, _keep)
    recalibrate(clone, images, prior, batch_size)
    if _has_stand_ins(clone) and not _has_stand_ins(model):
        clone, _ = rebuild(clone, _keep, give_back=True)
    _copy_trainable(model, clone)
    return clone


def batch_normalizations(model):
    """The batch normalizations of a model by path, as `named_layers` gives them.

    Args:
        model: A `keras.Model`.

    Returns:
        Dictionary from path to `keras.layers.BatchNormalization`; without those
        inside layers that are no models.
    """
    return {
        path: layer
        for path, layer in named_layers(model).items()
        if isinstance(layer, keras.layers.BatchNormalization)
    }


def recalibrate(model, images, prior=PRIOR, batch_size=64):
    """Recalibrate a model in place; see `recalibrate_batch_norm`."""
    calls = calls_in_order(model, images, batch_size)
    source = {
        id(layer): [_float64(layer.moving_mean), _float64(layer.moving_variance)]
        for layer, _ in calls
    }
    measured = {id(layer): Moments() for layer, _ in calls}
    for layer, index in track(calls, len(calls), "Recalibrating"):
        moments = measured[id(layer)]
        count = measure_inputs(model, layer, index, images, moments, batch_size)
        share = count / (count + prior)
        mean, variance = source[id(layer)]
        layer.moving_mean.assign(share * moments.mean + (1 - share) * mean)
        layer.moving_variance.assign(share * moments.variance + (1 - share) * variance)


def validate_batch_norm(batch_norm, model):
    """Refuse a way to treat batch normalization that `fine_tune` or the model does not know.

    Args:
        batch_norm: `"frozen"`, `"recalibrate"` or `"train"`.
        model: The model to fine-tune; what is no `keras.Model` is refused
            elsewhere.

    Raises:
        ValueError: Another word, or a model without batch normalization to
            recalibrate or train.
    """
    choices = ("frozen", "recalibrate", "train")
    if batch_norm not in choices:
        raise ValueError(f"Expected batch_norm as one of {choices}. Received: {batch_norm!r}.")
    if batch_norm == "frozen" or not isinstance(model, keras.Model):
        return
    # Training reaches a layer by its name, measuring does not need one.
    find = batch_normalizations if batch_norm == "train" else all_batch_normalizations
    if not find(model):
        found = "which has none"
        if all_batch_normalizations(model):
            found = (
                "where it stands inside layers that train as a whole; name those in trainable to "
                "train them"
            )
        raise ValueError(
            f"Expected a model with batch normalization for batch_norm={batch_norm!r}. "
            f"Received: {model.name!r}, {found}."
        )


def measure_inputs(model, layer, index, images, moments, batch_size=64):
    """Measure what a batch normalization is given.

    Args:
        model: A `keras.Model`.
        layer: A `BatchNormalization` of it.
        index: Which of the layer's calls, from 0.
        images: What `recalibrate_batch_norm` takes.
        moments: The `Moments` to add to.
        batch_size: Images that are run together.

    Returns:
        The number of images.

    Raises:
        ValueError: NaN or infinity in images or in what the layer is given.
    """
    inputs = InputMoments(model, layer, index)
    count = 0
    for batch in _batches(model, images, batch_size):
        parts = predict_batch(inputs, batch)
        if not (is_finite(parts["mean"]) and is_finite(parts["variance"])):
            raise ValueError(
                "Expected finite inputs of batch normalizations. "
                f"Received: NaN or infinity at {layer.name!r}."
            )
        moments.add(parts["mean"], parts["variance"], int(parts["values"][0]))
        count += count_rows(batch)
    return count


def calls_in_order(model, images, batch_size=64):
    """Each call of each batch normalization in the order to measure them: see `calls_by_layer`."""
    batch = as_input_of(model, _first_batch(model, images, batch_size))
    return calls_by_layer(all_batch_normalizations(model), lambda: model(batch, training=False))


def all_batch_normalizations(model):
    """Those inside layers that are no models as well."""
    return [x for x in sublayers(model) if isinstance(x, keras.layers.BatchNormalization)]


def _first_batch(model, images, batch_size):
    if hasattr(images, "__next__"):
        raise TypeError(
            f"Expected images that can be read more than once. Received: {type(images).__name__}."
        )
    refuse_endless(images)
    batch = next(_batches(model, images, batch_size), None)
    if batch is None:
        raise ValueError("Expected at least one image. Received: none.")
    return batch


def _batches(model, images, batch_size):
    for batch in stream_batches(images, batch_size):
        validate_model_input(model, batch, "distorted")
        if not all(map(is_finite, keras.tree.flatten(batch))):
            raise ValueError("Expected finite pixels in images. Received: NaN or infinity.")
        yield batch


def _keep(layer):
    return None


def _has_stand_ins(model):
    return any(isinstance(layer, StandIn) for layer in (model, *sublayers(model)))


def _copy_trainable(model, clone):
    """Freeze what is frozen: the configuration of a layer does not tell of the layers inside."""
    clone.trainable = model.trainable
    pairs = zip(named_layers(model).values(), named_layers(clone).values(), strict=True)
    for layer, copy in pairs:
        copy.trainable = layer.trainable
        if not isinstance(layer, keras.Model):
            for inside, copied in zip(sublayers(layer), sublayers(copy), strict=True):
                copied.trainable = inside.trainable


def _float64(variable):
    return ops.convert_to_numpy(variable).astype("float64")
