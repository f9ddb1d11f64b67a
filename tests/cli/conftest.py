"""Real image files, a trained model and a way to run the command."""

import keras
import numpy as np
import pytest
from command_runner import kerasft  # noqa: F401, a fixture
from eagerly import eagerly

from kerasft.backend import default_jit_compile
from kerasft.cli import demo
from kerasft.datasets import digits, load_image_folder, save_image_folder
from kerasft.distortions import GaussianBlur
from kerasft.finetuning import fine_tune
from kerasft.models import cifar10_cnn


@pytest.fixture(scope="session")
def trained_model(tmp_path_factory):
    """A `.keras` file of a network that reads digits."""
    images, labels = digits()
    keras.utils.set_random_seed(0)
    model = cifar10_cnn((8, 8, 1))
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=default_jit_compile())
    model.fit(images[400:], labels[400:], batch_size=64, epochs=8, verbose=0)
    path = tmp_path_factory.mktemp("model") / "digits.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """`clean` and `blurred` (200 pairs), `test` (blurred) and `clean_test` (100 each)."""
    root = tmp_path_factory.mktemp("folders")
    images, labels = digits()
    blurred = GaussianBlur(1.2)(images)
    for name, source, rows in (
        ("clean", images, range(200)),
        ("blurred", blurred, range(200)),
        ("test", blurred, range(200, 300)),
        ("clean_test", images, range(200, 300)),
    ):
        rows = np.asarray(rows)
        save_image_folder(root / name, source[rows], [f"{labels[i]}/{i}.png" for i in rows])
    return root


@pytest.fixture
def others(folders, tmp_path):
    """A folder of other pictures at the paths of `blurred`."""
    pictures = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 1), "uint8")
    save_image_folder(tmp_path / "others", pictures, load_image_folder(folders / "blurred").paths)
    return tmp_path / "others"


@pytest.fixture
def short_demo(monkeypatch):
    """The demonstration fine-tunes for a single epoch."""

    def tune(*arguments, epochs, **options):
        with eagerly():
            return fine_tune(*arguments, epochs=1, **options)

    monkeypatch.setattr(demo, "fine_tune", tune)
