"""Model files that are damaged, of another kind or made to do harm."""

import json
import os
import zipfile

import keras
import numpy as np
import pytest
from hostile_material import robustify, small_model
from keras import layers


def saved(path, inputs, outputs):
    keras.Model(inputs, outputs).save(path)


def change_member(path, name, change):
    """Change one file in a .keras archive; `None` leaves it out."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            if content is not None:
                archive.writestr(member, content)


def config(change):
    return lambda path: change_member(path, "config.json", change)


def halved(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def legacy(path, spoil):
    """An .h5 file in place of the .keras file."""
    import h5py

    path.unlink()
    # Of HDF5, Keras says that it is an old format.
    keras.src.legacy.saving.legacy_h5_format.save_model_to_hdf5(
        small_model(), str(path.with_suffix(".h5"))
    )
    spoil(path.with_suffix(".h5"), h5py)


def without_config(path, h5py):
    with h5py.File(path, "a") as file:
        del file.attrs["model_config"]


def other_config(change):
    def spoil(path, h5py):
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = change(file.attrs["model_config"])

    return spoil


def bomb(path):
    """A megabyte that unpacks to more than there is memory."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    content = bytearray(path.read_bytes())
    # The size as the directory at the end states it; 4 GiB less one, 300 times.
    directory = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = bytearray(content[directory:end])
    entry[24:28] = b"\xfe\xff\xff\xff"
    tail = bytearray(content[end:])
    tail[8:12] = (300).to_bytes(2, "little") * 2
    tail[12:16] = (300 * len(entry)).to_bytes(4, "little")
    path.write_bytes(bytes(content[:directory]) + bytes(entry) * 300 + bytes(tail))


def nan_weights(path):
    model = small_model()
    kernel, bias = model.get_layer("head").get_weights()
    kernel[3, 1] = np.nan
    model.get_layer("head").set_weights([kernel, bias])
    model.save(path)


def texts(path):
    saved(
        path,
        x := keras.Input((8, 8, 3), dtype="string"),
        layers.Dense(2)(layers.Flatten()(layers.StringLookup(vocabulary=["a"])(x))),
    )


def two_inputs(path):
    x, y = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    saved(path, [x, y], layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 3)(x + y))))


def two_outputs(path):
    x = keras.Input((8, 8, 3))
    y = layers.Flatten()(layers.Conv2D(2, 3)(x))
    saved(path, x, [layers.Dense(2)(y), layers.Dense(2)(y)])


def dictionary_of_one(path):
    x = keras.Input((8, 8, 3))
    saved(path, x, {"class": layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 3)(x)))})


def from_vectors(path):
    x = keras.Input((8,))
    saved(path, x, layers.Dense(2)(x))


def to_maps(path):
    x = keras.Input((8, 8, 3))
    saved(path, x, layers.Conv2D(2, 3)(x))


def no_convolution(path):
    x = keras.Input((8, 8, 3))
    saved(path, x, layers.Dense(2, kernel_initializer="zeros")(layers.Flatten()(x)))


def channels_first(path):
    x = keras.Input((3, 8, 8))
    saved(path, x, layers.Dense(2)(layers.Flatten()(x)))


def lambda_layer(path):
    x = keras.Input((8, 8, 3))
    y = layers.Lambda(lambda z: z * 2)(layers.Conv2D(2, 3)(x))
    saved(path, x, layers.Dense(2)(layers.Flatten()(y)))


def linked_to_itself(path):
    path.unlink()
    path.symlink_to(path.name)


def piped(path):
    path.unlink()
    os.mkfifo(path)


def three_classes(path):
    x = keras.Input((8, 8, 3))
    saved(path, x, layers.Dense(3)(layers.Flatten()(layers.Conv2D(2, 3)(x))))


NO_MODEL = "Expected a Keras model file. Received: "
MODELS = {
    "zero bytes": (lambda path: path.write_bytes(b""), NO_MODEL),
    "no archive": (lambda path: path.write_bytes(bytes(range(256)) * 40), NO_MODEL),
    "truncated": (halved, NO_MODEL),
    "an archive of nothing": (lambda path: zipfile.ZipFile(path, "w").close(), NO_MODEL),
    "an archive of something": (
        lambda path: zipfile.ZipFile(path, "w").writestr("photo.txt", "x"),
        NO_MODEL,
    ),
    "a bomb": (bomb, "it unpacks to 1,200 GiB, more than there is memory"),
    "config is no text": (config(lambda text: b"\xff\xfe" * 9), NO_MODEL),
    "config is cut off": (config(lambda text: text[:99]), NO_MODEL),
    "config is a list": (config(lambda text: b"[1, 2]"), NO_MODEL),
    "config is deep": (config(lambda text: b"[" * 100_000), NO_MODEL),
    "a class that is not there": (
        config(lambda text: text.replace(b'"Conv2D"', b'"Conv2E"')),
        "Conv2E",
    ),
    "a function that is not there": (
        config(lambda text: text.replace(b'"softmax"', b'"os.system"')),
        NO_MODEL,
    ),
    "filters beyond any tensor": (
        config(lambda text: text.replace(b'"filters": 4', b'"filters": %d' % 2**62)),
        NO_MODEL,
    ),
    "filters beyond any number": (
        config(lambda text: text.replace(b'"filters": 4', b'"filters": %d' % 10**30)),
        NO_MODEL,
    ),
    "filters that are text": (
        config(lambda text: text.replace(b'"filters": 4', b'"filters": "four"')),
        NO_MODEL,
    ),
    "weights of other shapes": (
        config(lambda text: text.replace(b'"filters": 4', b'"filters": 5')),
        NO_MODEL,
    ),
    "weights left out": (
        lambda path: change_member(path, "model.weights.h5", lambda content: None),
        NO_MODEL,
    ),
    "weights truncated": (
        lambda path: change_member(path, "model.weights.h5", lambda content: content[:900]),
        NO_MODEL,
    ),
    "NaN weights": (nan_weights, "Expected a model with numbers as weights. Received: "),
    "texts": (texts, "Expected a model that takes numbers"),
    "two inputs": (two_inputs, "Expected a model with one image as input and one output"),
    "two outputs": (two_outputs, "outputs [(None, 2), (None, 2)]"),
    "a dictionary of one output": (dictionary_of_one, "whose output is one tensor"),
    "vectors": (from_vectors, "inputs [(None, 8)]"),
    "maps as outputs": (to_maps, "to scores (classes,)"),
    "channels first": (channels_first, "1, 3 or 4 channels"),
    "three classes": (
        three_classes,
        "Expected 3 class folders",
    ),
    "no convolution": (no_convolution, "Expected a model with Conv2D layers"),
    "Lambda": (lambda_layer, "it holds Python code (a Lambda layer), which is not run"),
    "link to itself": (linked_to_itself, "does not exist"),
    "a pipe": (piped, "Expected a .keras, .h5 or .hdf5 file"),
}


@pytest.mark.skipif(os.name != "posix", reason="makes links and pipes")
@pytest.mark.parametrize("case", MODELS)
def test_a_file_that_is_no_classifier_is_refused(refused, box, case):
    spoil, message = MODELS[case]
    spoil(box.model)
    refused(robustify(box), message)


LEGACY = {
    "truncated": (lambda path, h5py: halved(path), NO_MODEL),
    "without config": (without_config, "No model config found"),
    "config cut off": (other_config(lambda text: text[:99]), NO_MODEL),
    "config of code": (
        other_config(
            lambda text: json.dumps(
                {
                    "class_name": "Sequential",
                    "config": {
                        "layers": [
                            {
                                "class_name": "Lambda",
                                "config": {"function": ["4wEAAAAAAAAA", None, None]},
                            }
                        ]
                    },
                }
            )
        ),
        NO_MODEL,
    ),
}


@pytest.mark.parametrize("case", LEGACY)
def test_an_h5_file_that_is_no_classifier_is_refused(refused, box, case):
    spoil, message = LEGACY[case]
    legacy(box.model, spoil)
    box.model = box.model.with_suffix(".h5")
    refused(robustify(box), message)


def test_an_h5_file_serves_as_well(kerasft, box):
    legacy(box.model, lambda path, h5py: None)
    model = box.model.with_suffix(".h5")
    status, out, err = kerasft("evaluate", model, "--data", box.clean)
    assert (status, err) == (0, "")
    assert "accuracy 50.00%" in out


def test_outputs_that_are_no_numbers_are_no_class(refused, box):
    x = keras.Input((8, 8, 3))
    y = layers.Flatten()(layers.Conv2D(2, 3)(x))
    saved(box.model, x, layers.Dense(2)(keras.ops.log(-1 - keras.ops.square(y))))
    refused(
        ("evaluate", box.model, "--data", box.clean),
        "Expected a model with numbers as outputs. Received: NaN",
    )


def test_a_model_that_asks_for_too_much_memory_says_so(refused, box, monkeypatch):
    import tensorflow as tf

    def exhausted(*arguments, **options):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\n  a dump")

    monkeypatch.setattr(keras.Model, "predict", exhausted)
    refused(
        ("evaluate", box.model, "--data", box.clean),
        "Expected a model and a batch that fit memory. Received: OOM when allocating; a smaller",
    )
