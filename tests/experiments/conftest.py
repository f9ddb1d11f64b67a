"""A trained network and real images, small enough to fine-tune in seconds."""

import io

import keras
import pandas as pd
import pytest

from kerasft.backend import default_jit_compile
from kerasft.datasets import ImageDataset, digits
from kerasft.experiments import fine_tuning_run
from kerasft.experiments.bench import Bench
from kerasft.experiments.image_store import ImageStore
from kerasft.models import cifar10_cnn


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """Digits, 560 to train on and 150 to test, and a network that reads them."""
    cache = tmp_path_factory.mktemp("bench")
    images, labels = digits()
    names = tuple(map(str, range(10)))
    dataset = ImageDataset(images[:700], labels[:700], images[700:850], labels[700:850], names)
    store = ImageStore.create(dataset, cache)
    keras.utils.set_random_seed(0)
    model = cifar10_cnn((8, 8, 1))
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=default_jit_compile())
    model.fit(*store.train(store.training_rows()), batch_size=64, epochs=8, verbose=0)
    path = cache / "digits.keras"
    model.save(path)
    return Bench("cifar10_cnn", str(path), store)


@pytest.fixture
def few_epochs(monkeypatch):
    """Fine-tuning for two epochs."""
    monkeypatch.setattr(fine_tuning_run, "_EPOCHS", 2)


@pytest.fixture(scope="session")
def as_from_a_file():
    """Lists of rows as the table that a results file gives."""

    def table(rows):
        return pd.read_csv(io.StringIO(pd.DataFrame(rows).to_csv(index=False)))

    return table
