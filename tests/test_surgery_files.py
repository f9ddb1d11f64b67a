"""Files of converted and merged models, opened by someone else."""

import json
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from surgery_models import (
    MODELS,
    assert_same_predictions,
    base_and_head,
    four_deep,
    layers_of_the_user_around_convolutions,
    make,
    make_inputs,
    predictions,
    sequential,
    shared_by_inner_and_outer_model,
    shared_layer_called_twice,
    weights,
    with_a_wired_model_inside,
)

import kerasft
from kerasft.layer_lookup import named_layers

# Keras's own variables and PyTorch's tensors, whenever NumPy 2 reads one.
NUMPY_2 = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
BLOCK = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "kerasft":
            raise ImportError("kerasft cannot be imported")
sys.meta_path.insert(0, Refuse())
try:
    import kerasft
except ImportError:
    pass
else:
    raise SystemExit("kerasft was imported")
"""
PREDICT = """
import sys, keras, numpy
images = numpy.load(sys.argv[2])
for name in sys.argv[3:]:
    model = keras.models.load_model(name)
    numpy.save(name + ".npy", keras.ops.convert_to_numpy(model(images)))
    print(sorted({type(layer).__name__ for layer in model.layers}))
"""


def run(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", NUMPY_2, "-c", f"{code}", "-", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Named(keras.Sequential):
    """A class of the user's, which the process that opens the file does not know."""


@pytest.fixture
def partial():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(6, 3, activation="relu", name="edges")(inputs / 255.0)
    inner = keras.Sequential(
        [keras.Input((6, 6, 6)), keras.layers.Conv2D(4, 3, name="edges")], name="inner"
    )
    x = keras.layers.GlobalAveragePooling2D()(inner(x))
    outputs = keras.layers.Dense(3, activation="softmax", name="head")(x)
    model = keras.Model(inputs, outputs)
    selection = {"edges": [1, 4], "inner/edges": [0]}
    partial = kerasft.make_partially_trainable(model, selection, trainable=["head"])
    partial.compile("adam", "sparse_categorical_crossentropy")
    images = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype("float32")
    partial.fit(images, np.arange(6) % 3, epochs=1, verbose=0)
    return partial, images


def test_a_merged_file_opens_where_kerasft_cannot_be_imported(tmp_path, partial):
    partial, images = partial
    merged = kerasft.merge(partial)
    expected = predictions(merged, images)
    files = [tmp_path / "merged.keras", tmp_path / "compiled.keras"]
    merged.save(files[0])
    merged.compile("adam", "sparse_categorical_crossentropy")
    merged.fit(images, np.arange(6) % 3, verbose=0)
    merged.save(files[1])
    expected += predictions(merged, images)
    np.save(tmp_path / "images.npy", images)
    shown = run(BLOCK + PREDICT, tmp_path / "images.npy", *files)
    assert "Conv2D" in shown
    assert "PartiallyTrainable" not in shown
    for file, wanted in zip(files, expected, strict=True):
        np.testing.assert_allclose(np.load(f"{file}.npy"), wanted, atol=1e-6)


def test_a_partial_file_opens_after_import_kerasft_alone(tmp_path, partial):
    partial, images = partial
    named = Named([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="conv")])
    partials = {
        tmp_path / "partial.keras": partial,
        # The class itself is wanted for the merge only.
        tmp_path / "named.keras": kerasft.make_partially_trainable(named, {"conv": [0]}),
    }
    for file, model in partials.items():
        model.save(file)
    np.save(tmp_path / "images.npy", images)
    shown = run("import kerasft" + PREDICT, tmp_path / "images.npy", *partials)
    assert shown.count("PartiallyTrainableConv2D") == 2
    for file, model in partials.items():
        np.testing.assert_allclose(np.load(f"{file}.npy"), predictions(model, images)[0], atol=1e-6)


# Of the one left out Keras cannot load the source either.
SAVED = {build: MODELS[build] for build in MODELS if build is not shared_by_inner_and_outer_model}
# Keras forgets that the layers inside layers that are no models were frozen.
NOT_FROZEN_AGAIN = {with_a_wired_model_inside, layers_of_the_user_around_convolutions}


@pytest.mark.parametrize(
    ("build", "selection"), SAVED.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_a_partial_file_of_any_shape_goes_on_where_it_was_saved(tmp_path, build, selection):
    model = make(build)
    partial = kerasft.make_partially_trainable(model, selection)
    if build in NOT_FROZEN_AGAIN:
        partial.save_weights(tmp_path / "partial.weights.h5")
        loaded = kerasft.make_partially_trainable(build(), selection)
        loaded.load_weights(tmp_path / "partial.weights.h5")
    else:
        partial.save(tmp_path / "partial.keras")
        loaded = keras.models.load_model(tmp_path / "partial.keras")
    assert [w.shape for w in loaded.trainable_weights] == [
        w.shape for w in partial.trainable_weights
    ]
    merged = kerasft.merge(loaded)
    assert weights(merged) == weights(model)
    assert_same_predictions(merged, model, make_inputs(model))


def assert_only_the_selection_is_trained(loaded, selection, images, targets):
    """Convert, train and merge; gives the merged model."""
    partial = kerasft.make_partially_trainable(loaded, selection)
    assert_same_predictions(partial, loaded, images)
    partial.compile("adam", "mse")
    partial.fit(images, targets, epochs=1, verbose=0)
    merged = kerasft.merge(partial)
    chosen = {id(named_layers(loaded)[path]): filters for path, filters in selection.items()}
    pairs = zip(named_layers(loaded).values(), named_layers(merged).values(), strict=True)
    for old, new in pairs:
        if id(old) in chosen:
            before, after = old.kernel.numpy(), new.kernel.numpy()
            moved = [i for i in range(old.filters) if (before[..., i] != after[..., i]).any()]
            assert moved == chosen[id(old)]
        elif not isinstance(old, keras.Model):
            assert weights(old) == weights(new)
    return merged


@pytest.mark.parametrize(
    ("build", "selection"),
    [
        (sequential, {"a": [0, 3]}),
        (base_and_head, {"base/a": [2]}),
        (four_deep, {"second/third/a": [0, 1]}),
        (shared_layer_called_twice, {"a": [2]}),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_a_legacy_h5_file_is_converted_trained_and_merged(tmp_path, build, selection):
    model = make(build)
    model.save(tmp_path / "legacy.h5")
    loaded = keras.models.load_model(tmp_path / "legacy.h5", compile=False)
    images = make_inputs(model, batch=6)
    assert_same_predictions(loaded, model, images)
    targets = np.ones((6, *model.output_shape[1:]))
    merged = assert_only_the_selection_is_trained(loaded, selection, images, targets)
    merged.save(tmp_path / "merged.h5")
    again = keras.models.load_model(tmp_path / "merged.h5", compile=False)
    assert weights(again) == weights(merged)
    model.load_weights(tmp_path / "merged.h5")
    assert_same_predictions(model, merged, images)


def keras_2_layer(class_name, name, inputs, **config):
    return {
        "class_name": class_name,
        "name": name,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
        "inbound_nodes": [[[source, 0, 0, {}] for source in inputs]] if inputs else [],
    }


def keras_2_convolution(name, source, filters):
    initializer = {"class_name": "HeNormal", "config": {"seed": None}}
    return keras_2_layer(
        *("Conv2D", name, [source]),
        filters=filters,
        kernel_size=[3, 3],
        strides=[1, 1],
        padding="same",
        data_format="channels_last",
        dilation_rate=[1, 1],
        groups=1,
        activation="linear",
        use_bias=True,
        kernel_initializer=initializer,
        bias_initializer={"class_name": "Zeros", "config": {}},
        kernel_regularizer={"class_name": "L2", "config": {"l2": 1e-4}},
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
    )


def write_keras_2_file(path):
    """A residual network as Keras 2.4 wrote it; gives the arrays by layer."""
    image = {"batch_input_shape": [None, 6, 6, 3], "dtype": "float32", "sparse": False}
    layers = [
        {
            "class_name": "InputLayer",
            "name": "input_1",
            "config": {**image, "ragged": False, "name": "input_1"},
            "inbound_nodes": [],
        },
        keras_2_convolution("conv2d", "input_1", 4),
        keras_2_layer(
            *("BatchNormalization", "batch_normalization", ["conv2d"]),
            axis=[3],
            momentum=0.99,
            epsilon=0.001,
            center=True,
            scale=True,
        ),
        keras_2_layer("Activation", "activation", ["batch_normalization"], activation="relu"),
        keras_2_convolution("conv2d_1", "activation", 4),
        keras_2_layer("Add", "add", ["conv2d_1", "activation"]),
        keras_2_layer("Flatten", "flatten", ["add"], data_format="channels_last"),
        keras_2_layer("Dense", "dense", ["flatten"], units=2, activation="softmax", use_bias=True),
    ]
    config = {"name": "model", "layers": layers}
    config |= {"input_layers": [["input_1", 0, 0]], "output_layers": [["dense", 0, 0]]}
    rng = np.random.default_rng(0)
    shapes = {
        "conv2d": {"kernel:0": (3, 3, 3, 4), "bias:0": (4,)},
        "batch_normalization": {
            f"{name}:0": (4,) for name in ("gamma", "beta", "moving_mean", "moving_variance")
        },
        "conv2d_1": {"kernel:0": (3, 3, 4, 4), "bias:0": (4,)},
        "dense": {"kernel:0": (144, 2), "bias:0": (2,)},
    }
    arrays = {}
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.4.0", "tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config})
        group = file.create_group("model_weights")
        group.attrs["keras_version"], group.attrs["backend"] = "2.4.0", "tensorflow"
        group.attrs["layer_names"] = [layer["name"].encode() for layer in layers]
        for layer in layers:
            name = layer["name"]
            inside = group.create_group(name)
            of_layer = shapes.get(name, {})
            inside.attrs["weight_names"] = [f"{name}/{weight}".encode() for weight in of_layer]
            arrays[name] = []
            for weight, shape in of_layer.items():
                values = rng.uniform(0.1, 0.9, shape).astype("float32")
                inside[f"{name}/{weight}"] = values
                arrays[name].append(values.tobytes())
    return arrays


def test_a_file_of_keras_2_is_converted_trained_and_merged(tmp_path):
    arrays = write_keras_2_file(tmp_path / "old.h5")
    loaded = keras.models.load_model(tmp_path / "old.h5", compile=False)
    assert {layer.name: weights(layer) for layer in loaded.layers} == arrays
    # Keras makes a list of the one input of such a file.
    images = [make_inputs(loaded, batch=6)[0]]
    merged = assert_only_the_selection_is_trained(
        loaded, {"conv2d": [1], "conv2d_1": [0, 2]}, images, np.ones((6, 2))
    )
    merged.save(tmp_path / "new.keras")
    opened = keras.models.load_model(tmp_path / "new.keras")
    np.testing.assert_array_equal(predictions(opened, images), predictions(merged, images))
