"""Partially trainable models in .keras and .weights.h5 files."""

import keras
import numpy as np
import pytest

import kerasft
from kerasft import PartiallyTrainableConv2D

SELECTION = {"first": [1, 4], "second": [0]}


def make_source():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(6, 3, activation="relu", bias_initializer="normal", name="first"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Conv2D(4, 3, use_bias=False, name="second"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(3, name="head"),
        ],
        name="source",
    )
    return model


def make_partial(selection=None):
    return kerasft.make_partially_trainable(make_source(), selection or SELECTION)


def train(model):
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(8, 6, 6, 2)), rng.normal(size=(8, 3)), epochs=2, verbose=0)


def kernels(model):
    return [
        keras.ops.convert_to_numpy(layer.kernel)
        for layer in model.layers
        if hasattr(layer, "kernel")
    ]


def assert_same_weights(model, other):
    ours, theirs = kerasft.merge(model).get_weights(), kerasft.merge(other).get_weights()
    assert [w.tobytes() for w in ours] == [w.tobytes() for w in theirs]


def assert_trains_only_the_selection(model):
    before = kernels(model)
    train(model)
    for old, new, chosen in zip(before, kernels(model), ([1, 4], [0], []), strict=True):
        moved = [i for i in range(old.shape[-1]) if old[..., i].tobytes() != new[..., i].tobytes()]
        assert moved == chosen


@pytest.mark.parametrize("compiled", [True, False])
def test_a_keras_file_keeps_weights_selection_and_training(tmp_path, compiled):
    model = make_partial()
    if compiled:
        model.compile(keras.optimizers.Adam(0.01), "mse")
        train(model)
    model.save(tmp_path / "partial.keras")
    loaded = keras.models.load_model(tmp_path / "partial.keras")
    # Keras's own JSON, since it reads tuples back as lists.
    assert loaded.to_json() == model.to_json()
    assert loaded.get_layer("first").trainable_filters == (1, 4)
    # Keras leaves the model's name out of the paths of what it loads.
    paths = [v.path for v in loaded.trainable_weights]
    assert [f"source/{path}" for path in paths] == [v.path for v in model.trainable_weights]
    assert not loaded.get_layer("head").trainable
    assert_same_weights(loaded, model)
    if compiled:
        slots = zip(loaded.optimizer.variables, model.optimizer.variables, strict=True)
        assert all(np.array_equal(a, b) for a, b in slots)
    else:
        loaded.compile(keras.optimizers.Adam(0.01), "mse")
    assert_trains_only_the_selection(loaded)


def test_a_weights_file_keeps_weights_and_training(tmp_path):
    model = make_partial()
    model.compile(keras.optimizers.Adam(0.01), "mse")
    train(model)
    model.save_weights(tmp_path / "partial.weights.h5")
    other = make_partial()
    other.load_weights(tmp_path / "partial.weights.h5")
    assert_same_weights(other, model)
    other.compile(keras.optimizers.Adam(0.01), "mse")
    assert_trains_only_the_selection(other)


@pytest.mark.parametrize(
    "selection", [{"first": [0, 2, 5], "second": [3]}, {"first": [], "second": range(4)}]
)
def test_a_weights_file_fits_whatever_filters_are_trained(tmp_path, selection):
    model = make_partial()
    model.compile("adam", "mse")
    train(model)
    model.save_weights(tmp_path / "partial.weights.h5")
    other = make_partial(selection)
    other.load_weights(tmp_path / "partial.weights.h5")
    assert_same_weights(other, model)


@pytest.mark.parametrize(
    "dtype",
    [
        "float16",
        "bfloat16",
        "mixed_bfloat16",
        pytest.param("float64", marks=pytest.mark.not_on("jax", "float64 is off")),
    ],
)
def test_a_keras_file_keeps_weights_of_any_dtype(tmp_path, dtype):
    layer = PartiallyTrainableConv2D(4, 3, [1], dtype=dtype)
    model = keras.Sequential([keras.Input((5, 5, 2)), layer])
    model.save(tmp_path / "partial.keras")
    loaded = keras.models.load_model(tmp_path / "partial.keras")
    assert loaded.layers[0].dtype_policy == layer.dtype_policy
    assert [w.dtype for w in loaded.weights] == [w.dtype for w in model.weights]
    assert_same_weights(loaded, model)


def test_a_weights_file_of_the_merged_model_loads_into_the_source_architecture(tmp_path):
    model = make_partial()
    model.compile("adam", "mse")
    train(model)
    merged = kerasft.merge(model)
    merged.save_weights(tmp_path / "merged.weights.h5")
    source = make_source()
    source.load_weights(tmp_path / "merged.weights.h5")
    assert [w.tobytes() for w in source.get_weights()] == [
        w.tobytes() for w in merged.get_weights()
    ]


def store_of(*shapes):
    return {str(i): np.zeros(shape, "float32") for i, shape in enumerate(shapes)}


@pytest.mark.parametrize(
    "store",
    [
        store_of((3, 3, 2, 6)),
        store_of((3, 3, 2, 8), (8,)),
        store_of((3, 3, 2, 4), (4,)),
        store_of((3, 3, 1, 6), (6,)),
        store_of((3, 3, 2, 6), (6,), (6,)),
    ],
    ids=["no bias", "more filters", "fewer filters", "other channels", "one too many"],
)
def test_weights_that_do_not_fit_are_refused(store):
    layer = PartiallyTrainableConv2D(6, 3, [1, 4])
    layer.build((None, 6, 6, 2))
    before = [w.tobytes() for w in layer.get_weights()]
    with pytest.raises(ValueError, match=r"^Expected weights of shapes .* Received: "):
        layer.load_own_variables(store)
    assert [w.tobytes() for w in layer.get_weights()] == before


def test_weights_for_a_layer_that_is_not_built_are_refused():
    with pytest.raises(ValueError, match=r"^Expected a built layer .* Received: 'edges'"):
        PartiallyTrainableConv2D(6, 3, [1], name="edges").load_own_variables(store_of((6,)))
    store = {}
    PartiallyTrainableConv2D(6, 3, [1]).save_own_variables(store)
    assert store == {}
