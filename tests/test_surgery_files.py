"""Files of converted and merged models, opened by someone else."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import kerasft

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
    numpy.save(name + ".npy", model(images))
    print(sorted({type(layer).__name__ for layer in model.layers}))
"""


def run(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}", "-", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
    expected = [np.asarray(merged(images))]
    files = [tmp_path / "merged.keras", tmp_path / "compiled.keras"]
    merged.save(files[0])
    merged.compile("adam", "sparse_categorical_crossentropy")
    merged.fit(images, np.arange(6) % 3, verbose=0)
    merged.save(files[1])
    expected.append(np.asarray(merged(images)))
    np.save(tmp_path / "images.npy", images)
    shown = run(BLOCK + PREDICT, tmp_path / "images.npy", *files)
    assert "Conv2D" in shown
    assert "PartiallyTrainable" not in shown
    for file, wanted in zip(files, expected, strict=True):
        np.testing.assert_allclose(np.load(f"{file}.npy"), wanted, atol=1e-6)


def test_a_partial_file_opens_after_import_kerasft_alone(tmp_path, partial):
    partial, images = partial
    partial.save(tmp_path / "partial.keras")
    np.save(tmp_path / "images.npy", images)
    shown = run("import kerasft" + PREDICT, tmp_path / "images.npy", tmp_path / "partial.keras")
    assert "PartiallyTrainableConv2D" in shown
    np.testing.assert_allclose(np.load(tmp_path / "partial.keras.npy"), partial(images), atol=1e-6)


def test_a_legacy_h5_file_is_converted_trained_and_merged(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(6, 3, activation="relu", name="edges"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.save(tmp_path / "legacy.h5")
    loaded = keras.models.load_model(tmp_path / "legacy.h5", compile=False)
    partial = kerasft.make_partially_trainable(loaded, {"edges": [2]})
    images = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(partial(images), model(images), atol=1e-6)
    before = loaded.layers[0].kernel.numpy()
    partial.compile("adam", "sparse_categorical_crossentropy")
    partial.fit(images, np.arange(6) % 3, epochs=1, verbose=0)
    after = kerasft.merge(partial).layers[0].kernel.numpy()
    moved = [i for i in range(6) if before[..., i].tobytes() != after[..., i].tobytes()]
    assert moved == [2]
