"""One run of the paper's main experiment: rank, select, fine-tune, test."""

import dataclasses
import math
import time

import keras
import numpy as np

from kerasft.backend import default_jit_compile
from kerasft.evaluation import predict_classes
from kerasft.experiments.baseline import NETWORKS
from kerasft.finetuning import fine_tune
from kerasft.seeding import seed_keras
from kerasft.susceptibility import rank_filters

# Distorted images that stop the training; the same for every run.
VALIDATION_SIZE = 1000

# Of the drawn images at most so many pairs vote, so that ranking costs less than
# training.
RANKING_PAIRS = 2000

_EPOCHS, _PATIENCE, _BATCH_SIZE = 200, 15, 64


@dataclasses.dataclass(frozen=True)
class Run:
    """A network after one run.

    Attributes:
        model: The fine-tuned `keras.Model`.
        columns: Dictionary of what the training cost: `trained_parameters`,
            `filters` (trained), `epochs`, `best_epoch`, `seconds_to_best`,
            `seconds_per_step`, `seconds`; empty where nothing was trained.
    """

    model: keras.Model
    columns: dict


def train_run(
    bench,
    distortion,
    size,
    seed,
    *,
    method="most",
    layers=None,
    fraction=0.25,
    threshold_share=None,
):
    """Draw distorted images and fine-tune a network on them.

    Training and stopping are the paper's (Section 4.3): Adam with its standard
    hyper-parameters, patience 15 on the loss of 1,000 distorted validation
    images, the best weights kept. Filters are ranked on the drawn images and
    their clean versions.

    Args:
        bench: A `Bench`.
        distortion: Its short form, such as `"awgn:15"`.
        size: Number of distorted labelled images.
        seed: Seed of the draw, of the random choice and of the training.
        method: `"most"`, `"least"`, `"random"` or `"all"` filters of `layers`;
            `"scratch"`: no fine-tuning, the whole network from random weights;
            `"none"`: nothing is trained.
        layers: Names of the layers. Default: those that the paper tunes.
        fraction: Share of each layer's filters.
        threshold_share: Select by one threshold on the mean earth mover's
            distance for all layers instead, so that as many filters lie over
            it as this fraction of each layer would give.

    Returns:
        A `Run`.
    """
    if method == "none":
        model = load_baseline(bench.model)
        return Run(model, {})
    rows = bench.store.draw(size, seed)
    train = bench.store.train(rows, distortion)
    validation = bench.store.train(bench.store.validation_rows(VALIDATION_SIZE), distortion)
    clock = _EpochClock(math.ceil(size / _BATCH_SIZE))
    start = time.perf_counter()
    if method == "scratch":
        model = _train_from_scratch(bench, train, validation, clock, seed)
        parameters = sum(math.prod(w.shape) for w in model.trainable_weights)
        return Run(model, _costs(parameters, None, clock, _since(start)))
    ranking = _rank(bench, rows, train[0], layers or bench.layers)
    if threshold_share is None:
        selection = ranking.select(fraction, which=method, seed=seed)
    else:
        selection = ranking.select(threshold=_threshold(ranking, threshold_share))
    tuned = fine_tune(
        load_baseline(bench.model),
        train,
        validation,
        selection=selection,
        epochs=_EPOCHS,
        patience=_PATIENCE,
        batch_size=_BATCH_SIZE,
        callbacks=[clock],
        seed=seed,
        verbose=0,
    )
    filters = sum(map(len, selection.values()))
    columns = _costs(tuned.trained_parameters, filters, clock, _since(start))
    return Run(tuned.model, columns)


def accuracies(bench, distortion, run):
    """A run as a row of results: accuracies on the test set, and what it cost.

    Args:
        bench: The `Bench` of the run.
        distortion: Short form of the distortion that it was trained on.
        run: A `Run`.

    Returns:
        Dictionary with `distorted_accuracy`, `clean_accuracy` and the columns
        of the run.
    """
    return {
        "distorted_accuracy": accuracy(run.model, *bench.store.test(distortion)),
        "clean_accuracy": accuracy(run.model, *bench.store.test()),
        **run.columns,
    }


def accuracy(model, images, labels):
    """Share of images that a model gives their label, 0 to 1."""
    return float(np.mean(predict_classes(model, images) == labels))


def load_baseline(path):
    """The `keras.Model` in a file.

    Raises:
        ValueError: A damaged file.
    """
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras lets through whatever its readers raise.
        raise ValueError(
            f"Expected a network that was trained as a baseline. Received: {path} "
            f"({type(error).__name__}: {error}); remove it and it is trained anew."
        ) from error


def _rank(bench, rows, distorted, layers):
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), RANKING_PAIRS)).astype(int)
    clean, _ = bench.store.train(rows)
    return rank_filters(
        load_baseline(bench.model), clean[chosen], distorted[chosen], layers=list(layers)
    )


def _threshold(ranking, share):
    """The threshold over which as many filters lie as the same fraction of each layer has."""
    distances = np.sort(np.concatenate([layer.mean_distance for layer in ranking.values()]))
    count = sum(map(len, ranking.select(share).values()))
    return float(distances[-count - 1])


def _train_from_scratch(bench, train, validation, clock, seed):
    seed_keras(seed)
    model = NETWORKS[bench.network](bench.store.classes, bench.store.image_shape)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=default_jit_compile())
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=_PATIENCE, restore_best_weights=True
    )
    model.fit(
        *train,
        batch_size=_BATCH_SIZE,
        epochs=_EPOCHS,
        validation_data=validation,
        callbacks=[clock, stopping],
        verbose=0,
    )
    return model


def _since(start):
    return time.perf_counter() - start


def _costs(parameters, filters, clock, seconds):
    return {
        "trained_parameters": parameters,
        "filters": filters,
        "epochs": len(clock.epochs),
        "best_epoch": clock.best,
        "seconds_to_best": round(clock.seconds_to_best, 3),
        "seconds_per_step": round(clock.seconds_per_step, 5),
        "seconds": round(seconds, 2),
    }


class _EpochClock(keras.callbacks.Callback):
    """When epochs end, and how long their training steps take."""

    def __init__(self, steps):
        super().__init__()
        self._steps = steps
        # Of each epoch: validation loss, seconds since the start, seconds of training.
        self.epochs = []

    def on_train_begin(self, logs=None):
        self._start = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_start = time.perf_counter()

    def on_test_begin(self, logs=None):
        # Some backends return from a step before it is computed; its result waits for it.
        keras.ops.convert_to_numpy(self.model.trainable_variables[0])
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(
            (
                logs["val_loss"],
                time.perf_counter() - self._start,
                self._trained - self._epoch_start,
            )
        )

    @property
    def best(self):
        """Number of the epoch with the lowest validation loss, from 1."""
        losses = [epoch[0] for epoch in self.epochs]
        return losses.index(min(losses)) + 1

    @property
    def seconds_to_best(self):
        return self.epochs[self.best - 1][1]

    @property
    def seconds_per_step(self):
        # The first epoch compiles.
        epochs = self.epochs[1:] or self.epochs
        return float(np.median([epoch[2] for epoch in epochs])) / self._steps
