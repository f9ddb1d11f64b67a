"""A trained network and real images, small enough to fine-tune in seconds."""

import inspect
import io

import keras
import pandas as pd
import pytest

from kerasft.backend import default_jit_compile
from kerasft.datasets import ImageDataset, digits
from kerasft.experiments import fine_tuning_run, run_grid
from kerasft.experiments.bench import Bench
from kerasft.experiments.image_store import ImageStore
from kerasft.models import cifar10_cnn


@pytest.fixture(scope="session")
def data():
    """Digits, 700 to train on, of which 140 to validate, and 150 to test."""
    images, labels = digits()
    names = tuple(map(str, range(10)))
    return ImageDataset(images[:700], labels[:700], images[700:850], labels[700:850], names)


@pytest.fixture(scope="session")
def bench(data, tmp_path_factory):
    """The digits and a network that reads them."""
    cache = tmp_path_factory.mktemp("bench")
    store = ImageStore.create(data, cache)
    keras.utils.set_random_seed(0)
    model = cifar10_cnn((8, 8, 1))
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=default_jit_compile())
    model.fit(*store.train(store.training_rows()), batch_size=64, epochs=8, verbose=0)
    path = cache / "digits.keras"
    model.save(path)
    return Bench("cifar10_cnn", str(path), store)


@pytest.fixture(scope="session")
def run_small_grid(bench, tmp_path_factory):
    """Function that runs a grid of an experiment, two epochs long.

    Gives its table and, of each run, the arguments of `train_run` and what it returned.
    """

    def run(experiment, configurations):
        runs = []

        def record(*arguments, **options):
            given = inspect.signature(fine_tuning_run.train_run).bind(*arguments, **options)
            runs.append((given.arguments, fine_tuning_run.train_run(*arguments, **options)))
            return runs[-1][1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fine_tuning_run, "_EPOCHS", 2)
            patch.setattr(experiment, "train_run", record)
            table = run_grid(
                lambda configuration: experiment.run(bench, configuration),
                configurations,
                bench.settings(),
                tmp_path_factory.mktemp("grid") / "runs.csv",
                description="Runs",
            )
        return table, runs

    return run


@pytest.fixture(scope="session")
def as_from_a_file():
    """Lists of rows as the table that a results file gives."""

    def table(rows):
        return pd.read_csv(io.StringIO(pd.DataFrame(rows).to_csv(index=False)))

    return table
