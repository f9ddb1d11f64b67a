"""make_partially_trainable and merge on every kind of model."""

import keras
import numpy as np
import pytest
from keras import layers

import kerasft
from kerasft.layer_lookup import named_layers


def conv(name, filters=4, **arguments):
    return layers.Conv2D(filters, 3, padding="same", name=name, **arguments)


def sequential():
    stack = [keras.Input((6, 6, 3)), conv("a", activation="relu"), layers.BatchNormalization()]
    stack += [conv("b", use_bias=False), layers.Flatten(), layers.Dense(2, name="head")]
    return keras.Sequential(stack)


def sequential_built_by_a_call():
    model = keras.Sequential([conv("a"), layers.Dropout(0.5), conv("b")])
    model(np.zeros((1, 6, 6, 3)))
    return model


def functional_with_dictionaries():
    left, right = keras.Input((6, 6, 3), name="left"), keras.Input((6, 6, 3), name="right")
    x = layers.Concatenate()([conv("a")(left), conv("b")(right)])
    outputs = {"score": layers.Dense(1, name="head")(layers.Flatten()(x)), "map": x}
    return keras.Model({"left": left, "right": right}, outputs, name="pair")


def functional_with_lists():
    left, right = keras.Input((6, 6, 3)), keras.Input((6, 6, 3))
    x, y = conv("a")(left), conv("b", 4)(right)
    return keras.Model([left, right], [x + y, x * y])


def nested_two_deep():
    def block(name, content, channels):
        inputs = keras.Input((6, 6, channels))
        return keras.Model(inputs, content(conv("a")(inputs)), name=name)

    innermost = block("innermost", layers.BatchNormalization(name="norm"), 4)
    inner = block("inner", innermost, 3)
    image = keras.Input((6, 6, 3))
    return keras.Model(image, layers.Dense(2, name="head")(inner(conv("b", 3)(image))))


def base_and_head():
    inputs = keras.Input((6, 6, 3))
    base = keras.Model(inputs, layers.BatchNormalization()(conv("a")(inputs)), name="base")
    image = keras.Input((6, 6, 3))
    x = layers.GlobalAveragePooling2D()(base(layers.Rescaling(1 / 255)(image), training=False))
    return keras.Model(image, layers.Dense(2, name="head")(x))


def sequential_of_models():
    inner = keras.Sequential([keras.Input((6, 6, 3)), conv("a"), conv("b")], name="inner")
    return keras.Sequential([keras.Input((6, 6, 3)), inner, layers.Flatten(), layers.Dense(2)])


def shared_layer_called_twice():
    shared, image = conv("a", 3), keras.Input((6, 6, 3))
    return keras.Model(image, conv("b")(shared(layers.ReLU()(shared(image)))))


def shared_model_called_twice():
    inner = keras.Sequential([keras.Input((6, 6, 3)), conv("a", 3)], name="inner")
    left, right = keras.Input((6, 6, 3)), keras.Input((6, 6, 3))
    return keras.Model([left, right], layers.Add()([inner(left), inner(right)]))


def shared_by_inner_and_outer_model():
    shared, inputs = conv("a", 3), keras.Input((6, 6, 3))
    inner = keras.Model(inputs, conv("b", 3)(shared(inputs)), name="inner")
    image = keras.Input((6, 6, 3))
    return keras.Model(image, layers.Dense(2, name="head")(inner(shared(image))))


def operations_between_layers():
    image = keras.Input((6, 6, 3))
    x = conv("a")(image / 255.0 - 0.5)
    x = keras.ops.relu(x) + x[..., :1]
    return keras.Model(image, keras.ops.mean(x, axis=(1, 2)))


def adapted_normalization():
    # Its constants are made of its weights when these are set.
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(50, 20, (20, 6, 6, 3)))
    return keras.Sequential([keras.Input((6, 6, 3)), normalization, conv("a")])


def lambda_layers():
    scale = 255.0
    image = keras.Input((6, 6, 3))
    x = layers.Lambda(lambda x: x / scale, output_shape=(6, 6, 3), name="scale")(image)
    x = layers.Lambda(lambda x, by: x * by, arguments={"by": 2.0}, name="double")(x)
    return keras.Model(image, conv("a", activation=lambda x: x * x)(x))


def square(x):
    return x * x


def relu(x):
    """Not the one that Keras finds by this name."""
    return -x


def functions_of_the_user():
    stack = [keras.Input((6, 6, 3)), conv("a", activation=square), layers.Activation(relu)]
    return keras.Sequential([*stack, layers.Dense(2, activation=square, name="head")])


class Custom(keras.Model):
    """A class of its own, put together from inputs and outputs."""

    def train_step(self, data):
        return super().train_step(data)


def custom_class():
    image = keras.Input((6, 6, 3))
    return Custom(image, conv("a")(image), name="custom")


class Wired(keras.Model):
    """Wired in its own call."""

    def __init__(self, units=3, **arguments):
        super().__init__(**arguments)
        self.units = units
        self.inner = layers.Conv2D(units, 1, name="wired_inner")

    def call(self, inputs):
        return self.inner(inputs)

    def get_config(self):
        return {"name": self.name, "units": self.units}


def with_a_wired_model_inside():
    image = keras.Input((6, 6, 3))
    return keras.Model(image, conv("a")(Wired(name="wired")(image)))


def of_intermediate_tensors():
    whole = sequential()
    return keras.Model(whole.layers[0].output, whole.layers[3 - 1].output)


def wrappers_and_mixed_precision():
    return keras.Sequential(
        [
            keras.Input((2, 6, 6, 3)),
            layers.TimeDistributed(layers.Conv2D(4, 3, name="wrapped")),
            layers.Reshape((8, 4, 4)),
            conv("a", dtype="mixed_float16"),
            layers.Flatten(dtype="float32"),
        ]
    )


MODELS = {
    sequential: {"a": [3, 0], "b": [1]},
    sequential_built_by_a_call: {"b": [2]},
    functional_with_dictionaries: {"a": [1]},
    functional_with_lists: {"a": [0], "b": range(4)},
    nested_two_deep: {"inner/a": [1], "inner/innermost/a": [0, 2]},
    base_and_head: {"a": [3]},
    sequential_of_models: {"inner/a": [2], "b": []},
    shared_layer_called_twice: {"a": [0]},
    shared_model_called_twice: {"a": [1, 2]},
    shared_by_inner_and_outer_model: {"a": [1], "b": [0]},
    operations_between_layers: {"a": [1]},
    custom_class: {"a": [1]},
    with_a_wired_model_inside: {"a": [1]},
    of_intermediate_tensors: {"b": [1]},
    wrappers_and_mixed_precision: {"a": [1]},
}
# The configuration of these tells the size of the adapted batch, or functions by address.
MODELS_WITHOUT_CONFIG = {
    adapted_normalization: {"a": [1]},
    lambda_layers: {"a": [1]},
    functions_of_the_user: {"a": [1]},
}


def all_layers(model):
    return named_layers(model).items()


def weights(model):
    return [w.tobytes() for w in model.get_weights()]


def randomize(model, seed=0):
    """Other weights than the initial ones; variances stay positive."""
    rng = np.random.default_rng(seed)
    for w in model.weights:
        if "variance" in w.path:
            w.assign(rng.uniform(0.5, 2, w.shape))
        elif w.dtype.startswith("float") and "normalization/mean" not in w.path:
            w.assign(rng.normal(0, 0.3, w.shape))
    for _, layer in all_layers(model):
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()


def make(build):
    keras.utils.set_random_seed(0)
    model = build()
    randomize(model)
    return model


def make_inputs(model, batch=2, scale=1.0):
    rng = np.random.default_rng(1)
    return keras.tree.map_structure(
        lambda x: (scale * rng.normal(size=(batch, *x.shape[1:]))).astype("float32"),
        model.inputs[0] if isinstance(model, keras.Sequential) else model.input,
    )


def predictions(model, inputs):
    return [np.asarray(x) for x in keras.tree.flatten(model(inputs, training=False))]


def assert_same_predictions(model, other, inputs):
    for ours, theirs in zip(predictions(model, inputs), predictions(other, inputs), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=0)


def frozen_slices(model):
    """Bytes of everything that is not to be trained."""
    kept = {}
    for path, layer in all_layers(model):
        if isinstance(layer, kerasft.PartiallyTrainableConv2D):
            frozen = [i for i in range(layer.filters) if i not in layer.trainable_filters]
            parts = [layer.kernel] if layer.bias is None else [layer.kernel, layer.bias]
            kept[path] = [part.numpy()[..., frozen].tobytes() for part in parts]
        elif not isinstance(layer, keras.Model):
            kept[path] = [w.numpy().tobytes() for w in layer.weights]
    return kept


@pytest.mark.parametrize(
    ("build", "selection"),
    [*MODELS.items(), *MODELS_WITHOUT_CONFIG.items()],
    ids=lambda x: getattr(x, "__name__", ""),
)
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_conversion_keeps_predictions_and_merge_gives_back_the_source(build, selection):
    model = make(build)
    inputs = make_inputs(model)
    before, config, flags = weights(model), model.get_config(), [x.trainable for x in model.layers]

    partial = kerasft.make_partially_trainable(model, selection)
    merged = kerasft.merge(partial)

    assert_same_predictions(partial, model, inputs)
    assert_same_predictions(merged, model, inputs)
    for copy in (partial, merged):
        assert type(copy) is type(model)
        assert [path for path, _ in all_layers(copy)] == [path for path, _ in all_layers(model)]
    assert weights(merged) == before
    assert [w.name for w in merged.weights] == [w.name for w in model.weights]
    assert all(layer.trainable for _, layer in all_layers(merged))
    if build in MODELS:
        assert merged.get_config() == config
    # The source stands as it stood, and shares nothing with its copies.
    assert model.get_config() == config or build not in MODELS
    assert [x.trainable for x in model.layers] == flags
    randomize(partial, seed=5)
    randomize(merged, seed=6)
    assert weights(model) == before


@pytest.mark.parametrize(
    ("build", "selection"), MODELS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_only_the_selected_filters_can_be_trained(build, selection):
    partial = kerasft.make_partially_trainable(make(build), selection)
    converted = {
        path: layer
        for path, layer in all_layers(partial)
        if isinstance(layer, kerasft.PartiallyTrainableConv2D)
    }
    chosen = {path: layer.trainable_filters for path, layer in converted.items()}
    wanted = {name.rpartition("/")[2]: tuple(sorted(f)) for name, f in selection.items()}
    assert {path.rpartition("/")[2]: f for path, f in chosen.items()} == wanted
    expected = {id(w) for layer in converted.values() for w in layer.trainable_weights}
    assert {id(w) for w in partial.trainable_weights} == expected


def test_selection_by_path_reaches_the_layer_of_that_path():
    model = make(nested_two_deep)
    partial = kerasft.make_partially_trainable(model, {"inner/innermost/a": [2]})
    kinds = {path: type(layer).__name__ for path, layer in all_layers(partial)}
    assert kinds["inner/innermost/a"] == "PartiallyTrainableConv2D"
    assert kinds["inner/a"] == kinds["b"] == "Conv2D"


@pytest.mark.parametrize(
    "build",
    [
        base_and_head,
        shared_by_inner_and_outer_model,
        nested_two_deep,
        sequential,
        functional_with_dictionaries,
        with_a_wired_model_inside,
    ],
    ids=lambda build: build.__name__,
)
def test_frozen_bytes_and_batch_statistics_stand_through_training(build):
    partial = kerasft.make_partially_trainable(make(build), MODELS[build])
    inputs = make_inputs(partial, batch=8)
    targets = keras.tree.map_structure(lambda x: np.ones(x.shape), partial(inputs))
    before, trained = frozen_slices(partial), [w.numpy() for w in partial.trainable_weights]
    partial.compile(keras.optimizers.AdamW(0.05, weight_decay=0.3), "mse")
    partial.fit(inputs, targets, batch_size=4, epochs=2, verbose=0)
    assert frozen_slices(partial) == before
    for old, new in zip(trained, partial.trainable_weights, strict=True):
        assert (old != new.numpy()).any()


def test_predictions_after_training_survive_the_merge():
    model = make(base_and_head)
    partial = kerasft.make_partially_trainable(model, {"a": [3]}, trainable=["head"])
    inputs = make_inputs(model, batch=8)
    partial.compile(keras.optimizers.Adam(0.05), "mse")
    partial.fit(inputs, np.ones((8, 2)), epochs=2, verbose=0)
    merged = kerasft.merge(partial)
    assert not merged.compiled
    assert_same_predictions(merged, partial, inputs)
    assert np.abs(predictions(merged, inputs)[0] - predictions(model, inputs)[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("build", "selection", "trainable", "paths"),
    [
        (sequential, {"a": [1]}, ["head"], ["head/kernel", "head/bias"]),
        (sequential, {"a": [1]}, ("b",), ["b/kernel"]),
        (base_and_head, {"a": [1]}, {"head"}, ["head/kernel", "head/bias"]),
        (nested_two_deep, {"b": [1]}, ["inner/a"], ["a/kernel", "a/bias"]),
        (
            nested_two_deep,
            {"b": [1]},
            ["innermost"],
            ["a/kernel", "a/bias", "norm/gamma", "norm/beta"],
        ),
        (
            with_a_wired_model_inside,
            {"a": [1]},
            ["wired"],
            ["wired_inner/kernel", "wired_inner/bias"],
        ),
    ],
)
def test_layers_named_in_trainable_stay_trainable(build, selection, trainable, paths):
    partial = kerasft.make_partially_trainable(make(build), selection, trainable=trainable)
    (name,) = selection
    ends = sorted("/".join(w.path.split("/")[-2:]) for w in partial.trainable_weights)
    assert ends == sorted([f"{name}/kernel", f"{name}/bias", *paths])


def test_a_batch_normalization_named_in_trainable_learns_its_statistics():
    model = make(sequential)
    norm = model.layers[1].name
    partial = kerasft.make_partially_trainable(model, {"a": [1]}, trainable=[norm])
    before = partial.get_layer(norm).moving_mean.numpy()
    partial.compile("sgd", "mse")
    partial.fit(make_inputs(model), np.ones((2, 2)), epochs=1, verbose=0)
    assert (partial.get_layer(norm).moving_mean.numpy() != before).any()


@pytest.mark.parametrize("build", [sequential, base_and_head, nested_two_deep])
@pytest.mark.parametrize("how", ["model", "layers", "inner"])
def test_a_source_that_is_frozen_does_not_freeze_the_selection(build, how):
    model = make(build)
    frozen = {"model": [model], "layers": model.layers}.get(
        how, [x for x in model.layers if isinstance(x, keras.Model)]
    )
    for layer in frozen:
        layer.trainable = False
    flags = [layer.trainable for _, layer in all_layers(model)]
    selection = {build: MODELS[build] for build in MODELS}[build]
    partial = kerasft.make_partially_trainable(model, selection)
    assert len(partial.trainable_weights) == sum(
        1 + layer.use_bias
        for _, layer in all_layers(partial)
        if isinstance(layer, kerasft.PartiallyTrainableConv2D)
    )
    assert [layer.trainable for _, layer in all_layers(model)] == flags
    merged = kerasft.merge(partial)
    assert all(layer.trainable for _, layer in all_layers(merged))
    assert weights(merged) == weights(model)


@pytest.mark.parametrize("build", [sequential, base_and_head], ids=lambda build: build.__name__)
def test_a_compiled_source_stays_compiled_and_its_copies_are_not(build):
    model = make(build)
    for inner in [x for x in model.layers if isinstance(x, keras.Model)]:
        inner.compile("adam", "mse")
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    inputs, targets = make_inputs(model), np.ones((2, 2))
    model.fit(inputs, targets, verbose=0)
    optimizer, state = model.optimizer, [v.numpy().tobytes() for v in model.optimizer.variables]
    partial = kerasft.make_partially_trainable(model, MODELS[build])
    assert model.compiled
    assert model.optimizer is optimizer
    assert [v.numpy().tobytes() for v in optimizer.variables] == state
    assert not any(x.compiled for x in (partial, *partial.layers) if isinstance(x, keras.Model))

    partial.compile("adam", "mse")
    merged = kerasft.merge(partial)
    assert partial.compiled
    assert not merged.compiled
    model.fit(inputs, targets, verbose=0)


def test_a_refused_source_stays_compiled():
    model = make(sequential)
    model.compile("adam", "mse")
    model.get_layer("b").enable_lora(2)
    with pytest.raises(ValueError, match="without LoRA"):
        kerasft.make_partially_trainable(model, {"b": [0]})
    assert model.compiled


def test_a_model_is_converted_again_after_the_merge():
    model = make(sequential)
    merged = kerasft.merge(kerasft.make_partially_trainable(model, {"a": [0]}))
    again = kerasft.make_partially_trainable(merged, {"b": [1]})
    assert weights(kerasft.merge(again)) == weights(model)


APPLICATIONS = {
    "MobileNetV2": (
        lambda: keras.applications.MobileNetV2((32, 32, 3), 0.35, weights=None, classes=3),
        {"Conv1": [0, 5], "block_3_expand": [7]},
    ),
    "ResNet50V2": (
        lambda: keras.applications.ResNet50V2(input_shape=(32, 32, 3), weights=None, classes=3),
        {"conv1_conv": [0, 5], "conv4_block1_2_conv": [255]},
    ),
    "EfficientNetB0": (
        lambda: keras.applications.EfficientNetB0(
            input_shape=(32, 32, 3), weights=None, include_top=False, pooling="avg"
        ),
        {"stem_conv": [3], "top_conv": [1]},
    ),
}


@pytest.mark.parametrize(("build", "selection"), APPLICATIONS.values(), ids=APPLICATIONS)
def test_networks_of_keras_applications_are_converted_and_merged(build, selection):
    model = build()
    for _, layer in all_layers(model):
        if isinstance(layer, layers.Normalization):
            layer.adapt(np.random.default_rng(0).normal(5, 2, (4, 32, 32, 3)))
    partial = kerasft.make_partially_trainable(model, selection)
    assert_same_predictions(partial, model, make_inputs(model, batch=1, scale=100.0))
    merged = kerasft.merge(partial)
    assert merged.get_config() == model.get_config()
    assert weights(merged) == weights(model)
    assert len(partial.trainable_weights) == sum(
        1 + model.get_layer(name).use_bias for name in selection
    )
