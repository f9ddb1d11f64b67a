"""fine_tune with the frozen layers computed once gives what it gives without."""

import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import kerasft
from kerasft import frozen_prefix
from kerasft.frozen_prefix import split_at_frozen_prefix
from kerasft.models import cifar10_cnn

SHAPE = (8, 8, 1)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(1)


@pytest.fixture(scope="module")
def data():
    images, labels = kerasft.datasets.digits()
    images = images.astype("float32")
    # Neither is a multiple of the batch size.
    return (images[:90], labels[:90]), (images[90:140], labels[90:140])


def _tune(model, train, validation, **options):
    options = {"selection": {"tuned": [1, 2]}, "epochs": 2, "batch_size": 32, **options}
    return kerasft.fine_tune(model, train, validation, verbose=0, **options)


def _assert_same_with_and_without(model, train, validation, cut, rtol=1e-5, **options):
    """Tune both ways; returns what was tuned with the cache."""
    before = [w.tobytes() for w in model.get_weights()]
    cached, plain = (
        _tune(model, train, validation, cache_prefix=cache_prefix, **options)
        for cache_prefix in (True, False)
    )
    assert cached.cached_prefix == cut
    assert plain.cached_prefix == ()
    assert [w.tobytes() for w in model.get_weights()] == before
    assert cached.trained_parameters == plain.trained_parameters
    assert cached.history.epoch == plain.history.epoch
    assert list(cached.history.history) == list(plain.history.history)
    for name, values in plain.history.history.items():
        np.testing.assert_allclose(cached.history.history[name], values, rtol=rtol, err_msg=name)
    pairs = zip(cached.model.weights, plain.model.weights, strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=rtol, atol=1e-6, err_msg=a.path)
    tuned = [w.tobytes() for w in cached.model.get_weights()]
    assert tuned != before
    return cached


def _head(x):
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return layers.Dense(10, activation="softmax", name="probabilities")(x)


def _model(*below, above=()):
    """`below`, then the convolution that is tuned, `above` and a head."""
    inputs = keras.Input(SHAPE)
    x = inputs
    for layer in below:
        x = layer(x)
    x = _conv("tuned")(x)
    for layer in above:
        x = layer(x)
    return keras.Model(inputs, _head(x))


def _conv(name, filters=4, **options):
    return layers.Conv2D(filters, 3, padding="same", activation="relu", name=name, **options)


# What is cached, and that it changes nothing.


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(
            None,
            marks=pytest.mark.not_on(
                "torch", "dropout without a seed draws in the order of memory, which a cut changes"
            ),
        ),
        3,
    ],
)
def test_the_second_convolution_of_the_baseline(data, seed):
    def seeded(layer):
        change = {"seed": seed} if isinstance(layer, layers.Dropout) else {}
        return type(layer).from_config({**layer.get_config(), **change})

    # With dropout and shuffling: both ways must draw the same.
    model = keras.models.clone_model(cifar10_cnn(SHAPE), clone_function=seeded)
    tuned = _assert_same_with_and_without(model, *data, ("pool1",), selection={"conv2": [0, 9]})
    for layer in model.layers:
        for old, new in zip(
            layer.get_weights(), tuned.model.get_layer(layer.name).get_weights(), strict=True
        ):
            changed = np.flatnonzero(np.any(old != new, axis=tuple(range(old.ndim - 1))))
            assert changed.tolist() == ([0, 9] if layer.name == "conv2" else [])


def test_a_skip_connection_across_the_cut(data):
    inputs = keras.Input(SHAPE)
    first = _conv("first")(layers.Rescaling(1 / 255)(inputs))
    x = layers.Add(name="add")([_conv("tuned")(_conv("second")(first)), first])
    # And one from the images themselves.
    x = layers.Concatenate()([x, inputs])
    _assert_same_with_and_without(keras.Model(inputs, _head(x)), *data, ("second", "first"))


def test_a_sequential_model(data):
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Rescaling(1 / 255),
            _conv("conv"),
            layers.BatchNormalization(name="norm"),
            _conv("tuned"),
            layers.Flatten(),
            layers.Dense(10, name="logits"),
        ]
    )
    _assert_same_with_and_without(model, *data, ("norm",))


def test_operations_that_are_no_layers(data):
    # The name of the operation at the cut is counted from here.
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    inputs = keras.Input(SHAPE)
    x = _conv("tuned")(ops.maximum(_conv("conv")(inputs / 255.0), 0.01)[:, 1:, :, :])
    _assert_same_with_and_without(keras.Model(inputs, _head(x)), *data, ("get_item",))


def test_nested_models_on_both_sides_of_the_cut(data):
    inputs = keras.Input(SHAPE)
    backbone = keras.Model(inputs, _conv("b")(_conv("a")(inputs)), name="backbone")
    top = keras.Sequential(
        [keras.Input((8, 8, 4)), _conv("c"), _conv("tuned"), layers.Dropout(0.2)], name="top"
    )
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, _head(top(backbone(inputs))))
    _assert_same_with_and_without(model, *data, ("backbone",))


def test_layers_that_are_used_on_both_sides_of_the_cut(data):
    inputs = keras.Input(SHAPE)
    shared, norm = _conv("shared"), layers.BatchNormalization(name="norm")
    x = norm(shared(_conv("first")(inputs)))
    x = norm(shared(_conv("tuned")(x)))
    model = keras.Model(inputs, _head(x))
    _assert_same_with_and_without(model, *data, ("norm",))


@pytest.mark.parametrize("kind", [list, dict])
def test_several_inputs(data, kind):
    (images, labels), (validation_images, validation_labels) = data
    inputs = [keras.Input(SHAPE, name="left"), keras.Input(SHAPE, name="right")]
    x = layers.Add(name="add")([_conv("conv")(inputs[0]), layers.Rescaling(0.1)(inputs[1])])
    x = layers.Concatenate()([_conv("tuned")(x), inputs[1]])
    structure = {"left": inputs[0], "right": inputs[1]} if kind is dict else inputs
    model = keras.Model(structure, _head(x))

    def pair(images):
        # Named in any order.
        return {"right": images[::-1], "left": images} if kind is dict else [images, images[::-1]]

    train, validation = (pair(images), labels), (pair(validation_images), validation_labels)
    _assert_same_with_and_without(model, train, validation, ("add",))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(data, policy):
    keras.config.set_dtype_policy(policy)
    try:
        # Of pixels up to 255 the scaled gradients overflow, and every step is skipped.
        model = _model(layers.Rescaling(1 / 255), _conv("conv"), above=[layers.Dropout(0.2)])
        tuned = _assert_same_with_and_without(model, *data, ("conv",), rtol=1e-3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert split_at_frozen_prefix(_frozen(model)).suffix.inputs[0].dtype == policy[6:]
    scaled = isinstance(tuned.history.model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


def test_sample_weights_one_hot_labels_and_a_loss_of_ones_own(data):
    (images, labels), (validation_images, validation_labels) = data

    def squared(truth, outputs):
        return ops.sum(ops.square(truth - outputs), axis=-1)

    weights = np.linspace(1, 5, len(labels), dtype="float32")
    train = images, keras.utils.to_categorical(labels, 10), weights
    validation = validation_images, keras.utils.to_categorical(validation_labels, 10)
    model = _model(layers.Rescaling(1 / 255), _conv("conv"))
    for loss in (squared, None):
        weighted = _assert_same_with_and_without(model, train, validation, ("conv",), loss=loss)
        plain = _tune(model, train[:2], validation, loss=loss, epochs=1)
        assert weighted.history.history["loss"][0] > 2 * plain.history.history["loss"][0]


def test_integer_and_double_images(data):
    (images, labels), validation = data
    model = _model(layers.Rescaling(1 / 255), _conv("conv"))
    for dtype in ("uint8", "float64"):
        train = images.astype(dtype), labels
        _assert_same_with_and_without(model, train, validation, ("conv",), epochs=1)
    train = ops.convert_to_tensor(images), labels
    _assert_same_with_and_without(model, train, validation, ("conv",), epochs=1)


def test_images_of_any_size(data):
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, _head(_conv("tuned")(_conv("conv")(inputs))))
    train, (images, labels) = data
    _assert_same_with_and_without(model, train, (images[:, 1:], labels), ("conv",), epochs=1)


def test_a_network_of_keras(data):
    (images, labels), (validation_images, validation_labels) = data
    # A third of it, that has all kinds of its blocks.
    whole = keras.applications.MobileNetV2((32, 32, 3), 0.35, include_top=False, weights=None)
    model = keras.Model(whole.input, _head(whole.get_layer("block_5_add").output))
    train, validation = (
        (np.repeat(np.kron(x, np.ones((1, 4, 4, 1), "float32")), 3, axis=-1) / 255, y)
        for x, y in ((images[:40], labels[:40]), (validation_images[:20], validation_labels[:20]))
    )
    selection = {"block_5_expand": list(range(20)), "block_5_project": [3, 4]}
    cut = ("block_4_add",)
    _assert_same_with_and_without(
        model, train, validation, cut, rtol=1e-4, selection=selection, epochs=1
    )


def test_early_stopping_restores_the_best_weights(data):
    model = _model(_conv("conv"))
    tuned = _assert_same_with_and_without(
        model,
        *data,
        ("conv",),
        rtol=1e-3,
        epochs=40,
        patience=2,
        optimizer={"class_name": "adam", "config": {"learning_rate": 0.05}},
    )
    losses = tuned.history.history["val_loss"]
    assert len(losses) == int(np.argmin(losses)) + 1 + 2
    tuned.model.compile("adam", "sparse_categorical_crossentropy")
    assert tuned.model.evaluate(*data[1], verbose=0) == pytest.approx(min(losses), rel=1e-4)


def test_the_history_keeps_the_model_that_takes_images(data):
    tuned = _tune(_model(_conv("conv")), *data)
    assert tuned.cached_prefix == ("conv",)
    loss, accuracy = tuned.history.model.evaluate(*data[1], batch_size=32, verbose=0)
    assert loss == pytest.approx(min(tuned.history.history["val_loss"]), rel=1e-4)
    assert accuracy in [pytest.approx(a) for a in tuned.history.history["val_accuracy"]]
    assert int(tuned.history.model.optimizer.iterations) == 2 * 3


def test_regularizers_of_tuned_layers_count_as_before(data):
    model = _model(
        _conv("conv", kernel_regularizer="l2"), above=[_conv("top", activity_regularizer="l2")]
    )
    _assert_same_with_and_without(model, *data, ("conv",))


def test_the_frozen_layers_run_once(data, monkeypatch):
    counts = []
    predict_on_batch = keras.Model.predict_on_batch

    def counted(model, x):
        outputs = predict_on_batch(model, x)
        if "tuned" not in [layer.name for layer in model.layers]:
            counts.append(len(x))
        return outputs

    monkeypatch.setattr(keras.Model, "predict_on_batch", counted)
    model = _model(_conv("conv"))
    for epochs in (1, 4):
        counts.clear()
        _tune(model, *data, epochs=epochs)
        # A first batch of each set shows what space they take.
        assert counts == [32, 16, 32, 16, 32, 32, 26, 32, 18]
    split = split_at_frozen_prefix(_frozen(model))
    assert [layer.name for layer in split.prefix.layers][1:] == ["conv"]
    names = [layer.name for layer in split.suffix.layers][1:]
    assert names == ["tuned", "average", "probabilities"]


# Where the cut goes.


def _frozen(model, trainable=()):
    return kerasft.make_partially_trainable(model, {"tuned": [0]}, trainable=trainable)


def _cut(model, trainable=()):
    split = split_at_frozen_prefix(_frozen(model, trainable))
    return split and split.cut


@keras.saving.register_keras_serializable("test_frozen_prefix")
class Custom(layers.Layer):
    def call(self, x):
        return x + 1

    def compute_output_shape(self, shape):
        return shape


class CustomConvolution(layers.Conv2D):
    pass


def _random_layers():
    for name in dir(layers):
        if name in ("AdditiveAttention", "GroupQueryAttention", "MultiHeadAttention", "Attention"):
            continue
        if "Random" in name or "Dropout" in name or "Noise" in name:
            yield name
    yield from ("AugMix", "CutMix", "MixUp", "RandAugment", "Solarization")


ARGUMENTS = {
    "RandomBrightness": (0.2,),
    "RandomContrast": (0.2,),
    "RandomCrop": (8, 8),
    "RandomHue": (0.2,),
    "RandomInvert": (0.2,),
    "RandomPosterization": (4,),
    "RandomRotation": (0.2,),
    "RandomSaturation": (0.2,),
    "RandomSharpness": (0.2,),
    "RandomTranslation": (0.2, 0.2),
    "RandomZoom": (0.2,),
    "RandomColorDegeneration": (0.2,),
    "RandomGrayscale": (0.2,),
    "RandomShear": (0.2,),
}


@pytest.mark.parametrize("name", sorted(_random_layers()))
def test_a_random_layer_is_above_the_cut(name):
    default = (0.3,) if "Dropout" in name or "Noise" in name else ()
    layer = getattr(layers, name)(*ARGUMENTS.get(name, default))
    assert not frozen_prefix.is_constant_in_training(layer)
    layer.trainable = False
    assert not frozen_prefix.is_constant_in_training(layer)


# Each makes a new layer, since a layer is built for one input shape.
STOPS = {
    "dropout": lambda: layers.Dropout(0.3),
    "augmentation": lambda: layers.RandomFlip(),
    "dropout in a model": lambda: keras.Sequential([layers.Dropout(0.3)]),
    "dropout in a layer": lambda: layers.TimeDistributed(layers.Dropout(0.3)),
    "custom": Custom,
    "custom convolution": lambda: CustomConvolution(4, 3),
    "custom in a model": lambda: keras.Sequential([_conv("a"), CustomConvolution(4, 3)]),
    "custom in a layer": lambda: layers.TimeDistributed(Custom()),
    "function": lambda: layers.Lambda(lambda x: x + 1, output_shape=lambda shape: shape),
    "activation": lambda: layers.Conv2D(4, 3, activation=lambda x: x + 1),
    "activity": lambda: layers.ActivityRegularization(0.1),
    "activity of a layer": lambda: layers.Conv2D(4, 3, activity_regularizer="l2"),
    "mask": lambda: layers.Masking(),
}


@pytest.mark.filterwarnings("ignore:.*was passed an input with a mask")
@pytest.mark.parametrize("stop", STOPS)
def test_the_cut_is_below_what_may_differ_from_step_to_step(stop):
    stop = STOPS[stop]
    first = layers.Conv2D(4, 3, padding="same", name="first")
    assert _cut(_model(first, layers.MaxPooling2D(name="pool"), stop())) == ("pool",)
    # What comes after it is above it as well.
    second = layers.Conv2D(4, 1, name="second")
    assert _cut(_model(_conv("first"), stop(), second)) == ("first",)
    assert _cut(_model(stop(), layers.Conv2D(4, 1, name="second"))) is None


def test_a_frozen_layer_may_change_in_training():
    layer = layers.SpectralNormalization(layers.Conv2D(4, 3))
    layer.trainable = False
    assert not frozen_prefix.is_constant_in_training(layer)


def test_layers_of_the_applications_may_be_random():
    # This one draws from Keras's global generator, which no variable shows.
    from keras.src.applications.convnext import StochasticDepth

    assert not frozen_prefix.is_constant_in_training(StochasticDepth(0.5))


def test_layers_that_do_nothing_in_training_are_below_the_cut():
    model = _model(
        _conv("first"),
        layers.Dropout(0.0),
        layers.BatchNormalization(),
        layers.TimeDistributed(layers.Dense(3)),
        layers.LayerNormalization(),
        keras.Sequential([layers.Conv2D(4, 1), layers.LeakyReLU()]),
        layers.Activation("gelu", name="last"),
    )
    assert _cut(model) == ("last",)


@pytest.mark.parametrize("affine", [True, False])
def test_a_trainable_batch_normalization_is_above_the_cut(data, affine):
    # Without scale and offset it has no trainable weights, yet its statistics move.
    norm = layers.BatchNormalization(center=affine, scale=affine, name="norm")
    model = _model(_conv("first"), norm)
    assert _cut(model) == ("norm",)
    assert _cut(model, ["norm"]) == ("first",)
    tuned = _assert_same_with_and_without(
        model, *data, ("first",), trainable=["norm"], epochs=2, rtol=1e-4
    )
    assert (tuned.model.get_layer("norm").moving_mean.numpy() != 0).all()


def test_a_layer_trained_as_a_whole_is_above_the_cut():
    model = _model(_conv("first"), _conv("second"))
    assert _cut(model) == ("second",)
    assert _cut(model, ["second"]) == ("first",)
    assert _cut(model, ["first"]) is None


def test_a_selected_layer_without_filters_is_below_the_cut(data):
    # Scaled, since on other backends than TensorFlow a softmax that is all but one has
    # no gradient.
    model = _model(layers.Rescaling(1 / 255), _conv("first"), _conv("second"))
    selection = {"first": [], "second": [], "tuned": [1]}
    _assert_same_with_and_without(model, *data, ("second",), selection=selection, epochs=1)


def test_no_model_of_a_class_of_ones_own_is_split():
    class Own(keras.Model):
        def train_step(self, *args):
            raise NotImplementedError

    inputs = keras.Input(SHAPE)
    outputs = _conv("tuned")(_conv("first")(inputs))
    assert _cut(keras.Model(inputs, outputs)) == ("first",)
    assert _cut(Own(inputs, outputs)) is None


def test_no_model_with_a_frozen_output_is_split():
    inputs = keras.Input(SHAPE)
    first = _conv("first")(inputs)
    assert _cut(keras.Model(inputs, [_conv("tuned")(first), first])) is None


def test_nothing_is_kept_without_a_kernel_below_the_cut():
    normalization = layers.Normalization(mean=[1.0], variance=[2.0])
    assert (
        _cut(_model(layers.Rescaling(1 / 255), normalization, layers.BatchNormalization())) is None
    )


@pytest.mark.not_on("jax", "float64 is off")
def test_double_precision_is_not_rounded():
    # `fit` casts arrays to float32.
    model = _model(_conv("first", dtype="float64"))
    assert _cut(model) is None


def test_layers_may_have_the_name_that_keras_gives_to_inputs(data):
    inputs = keras.Input(SHAPE, name="image")
    x = _conv("input_layer")(_conv("tuned")(_conv("conv")(inputs)))
    model = keras.Model(inputs, _head(x))
    keras.utils.clear_session()
    assert _tune(model, *data, epochs=1).cached_prefix == ("conv",)


# Where nothing is cached.


def test_nothing_is_cached_when_the_first_convolution_is_tuned(data):
    tuned = _tune(cifar10_cnn(SHAPE), *data, selection={"conv1": [0], "conv2": [1]})
    assert tuned.cached_prefix == ()


def test_nothing_is_cached_unless_wanted(data):
    assert _tune(_model(_conv("conv")), *data, cache_prefix=False).cached_prefix == ()


def test_callbacks_see_the_whole_model(data):
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append(callback.model)
    )
    tuned = _tune(_model(_conv("conv")), *data, callbacks=[callback])
    assert tuned.cached_prefix == ()
    assert "conv" in [layer.name for layer in seen[0].layers]
    assert tuned.history.model is seen[0]


def test_datasets_are_not_cached(data):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return data[0][0][32 * i : 32 * i + 32], data[0][1][32 * i : 32 * i + 32]

    dataset = tf.data.Dataset.from_tensor_slices(data[0]).batch(32)
    model = _model(_conv("conv"))
    for train, validation in (
        (Batches(), data[1]),
        (dataset, data[1]),
        (data[0], Batches()),
        (data[0], dataset),
    ):
        assert _tune(model, train, validation, epochs=1).cached_prefix == ()


def test_nothing_is_cached_that_takes_more_than_half_of_the_free_memory(data, monkeypatch):
    model = _model(_conv("conv"))
    size = (90 + 50) * 8 * 8 * 4 * 4
    for free, cut in ((2 * size, ("conv",)), (2 * size - 1, ())):
        monkeypatch.setattr(frozen_prefix, "free_memory", lambda free=free: free)
        assert _tune(model, *data, epochs=1).cached_prefix == cut


def test_nothing_is_cached_where_rows_are_no_images(data):
    inputs = keras.Input(SHAPE)
    x = ops.reshape(_conv("conv")(inputs), (-1, 4, 8, 4))
    x = ops.reshape(_conv("tuned")(x), (-1, 8, 8, 4))
    _assert_same_with_and_without(keras.Model(inputs, _head(x)), *data, (), epochs=1)


# Memory.


def test_free_memory_is_what_the_system_says(monkeypatch):
    def read_text(path, encoding):
        if str(path) not in files:
            raise FileNotFoundError
        return files[str(path)]

    monkeypatch.setattr(pathlib.Path, "read_text", read_text)
    files = {}
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1000}
    with monkeypatch.context() as patch:
        patch.setattr(os, "sysconf", pages.__getitem__)
        assert frozen_prefix.free_memory() == 2048 * 1000
        patch.delattr(os, "sysconf")
        assert frozen_prefix.free_memory() == 2 * 2**30
    files["/proc/meminfo"] = "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:     5000 kB\n"
    assert frozen_prefix.free_memory() == 5000 * 1024
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    files["/sys/fs/cgroup/memory.current"] = "1000\n"
    assert frozen_prefix.free_memory() == 5000 * 1024
    files["/sys/fs/cgroup/memory.stat"] = "anon 600\ninactive_file 400\nactive_file 0\n"
    files["/sys/fs/cgroup/memory.max"] = "3000\n"
    assert frozen_prefix.free_memory() == 2400


def test_free_memory_of_this_machine():
    assert frozen_prefix.free_memory() > 2**20


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x - keras.ops.mean(x, axis=0, keepdims=True),
        lambda x: x + keras.ops.flip(x, axis=0),
        keras.layers.UnitNormalization(axis=0),
    ],
)
def test_nothing_is_cached_that_depends_on_the_other_images_of_a_batch(data, mix):
    inputs = keras.Input(SHAPE)
    x = _conv("tuned")(mix(_conv("first")(inputs)))
    outputs = keras.layers.Dense(10, "softmax")(keras.layers.GlobalAveragePooling2D()(x))
    tuned = _tune(keras.Model(inputs, outputs), *data, selection={"tuned": [0]}, epochs=1)
    assert tuned.cached_prefix == ()
