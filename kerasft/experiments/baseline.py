"""The networks that experiments start from: trained once on clean images, then kept."""

import dataclasses
import hashlib
import json
import pathlib

import keras

from kerasft.backend import default_jit_compile
from kerasft.files import locked, room_in, write_whole
from kerasft.models import all_conv_net, cifar10_cnn
from kerasft.progress import track
from kerasft.seeding import seed_keras

# Makers, called with the number of classes and the shape of an image.
NETWORKS = {
    "all_conv_net": lambda classes, shape: all_conv_net(classes, shape),
    "cifar10_cnn": lambda classes, shape: cifar10_cnn(shape, classes),
}

# The layers that the paper tunes.
TUNED_LAYERS = {
    "all_conv_net": ("conv1", "conv2", "conv3"),
    "cifar10_cnn": ("conv1", "conv2"),
}


@dataclasses.dataclass(frozen=True)
class Baseline:
    """How a network is trained on clean images (paper, Section 4.3).

    Adam with its standard hyper-parameters, cross-entropy, early stopping on
    the validation loss; the weights of the best epoch are kept.

    Attributes:
        network: `"cifar10_cnn"` or `"all_conv_net"`.
        epochs: At most this many epochs.
        patience: Epochs without a lower validation loss before stopping.
        batch_size: Images in a step.
        seed: Seed of weights, dropout and order.
    """

    network: str
    epochs: int = 200
    patience: int = 15
    batch_size: int = 64
    seed: int = 0

    def __post_init__(self):
        if self.network not in NETWORKS:
            raise ValueError(
                f"Expected a network of {', '.join(sorted(NETWORKS))}. Received: {self.network!r}."
            )

    def name(self, store):
        """File name without its ending, with what tells this baseline from others."""
        settings = json.dumps([dataclasses.asdict(self), store.digest], sort_keys=True)
        return f"{self.network}-{hashlib.sha256(settings.encode()).hexdigest()[:12]}"


def train_baseline(baseline, store, cache):
    """Train a baseline, or find it trained already.

    After every epoch the training is written down, so a stopped one goes on
    where it stopped and ends as if it had not been.

    Args:
        baseline: A `Baseline`.
        store: The `ImageStore` of clean images.
        cache: Folder of trained baselines.

    Returns:
        Path of the `.keras` file. Beside it, `.json` has the losses and
        accuracies of every epoch.

    Raises:
        ValueError: Another process is training it, or what was written down of
            a training that was stopped is damaged.
    """
    path = pathlib.Path(cache) / f"{baseline.name(store)}.keras"
    if not path.exists():
        # Two trainings at once would remove each other's epochs.
        with locked(path):
            _train(baseline, store, path)
    return path


def _train(baseline, store, path):
    log_file = path.with_suffix(".json")
    log = _read_log(log_file) if log_file.exists() else {"epochs": []}
    epochs = log["epochs"]

    def checkpoint(epoch):
        return path.with_name(f".{path.stem}.epoch-{epoch}.keras")

    if not all(checkpoint(epoch).exists() for epoch in {len(epochs), _best(epochs)}):
        # None yet, or someone removed the network to have it trained anew.
        epochs = []
    seed_keras(baseline.seed)
    if epochs:
        model = _resume(checkpoint(len(epochs)), log)
    else:
        model = NETWORKS[baseline.network](store.classes, store.image_shape)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    if default_jit_compile() is False:
        # Not kept in the file.
        model.jit_compile = False
    train, validation = (
        store.train(rows) for rows in (store.training_rows(), store.validation_rows())
    )
    remaining = range(len(epochs), baseline.epochs)
    for epoch in track(remaining, len(remaining), f"Training {baseline.network}"):
        if epoch - _best(epochs) >= baseline.patience:
            break
        # By epoch, so that the order of images does not depend on a restart.
        seed_keras(baseline.seed * 100_000 + epoch)
        history = model.fit(
            *train, batch_size=baseline.batch_size, validation_data=validation, verbose=0
        )
        epochs.append({name: float(values[0]) for name, values in history.history.items()})
        with room_in(path.parent):
            model.save(checkpoint(epoch + 1))
        # From here on the epoch counts.
        settings = {**dataclasses.asdict(baseline), "images": store.digest}
        dropout = [keras.ops.convert_to_numpy(state).tolist() for state in _dropout_states(model)]
        log = {"baseline": settings, "epochs": epochs, "dropout": dropout}
        write_whole(log_file, f"{json.dumps(log, indent=1)}\n".encode())
        for old in range(1, epoch + 1):
            if old != _best(epochs):
                checkpoint(old).unlink(missing_ok=True)
    best = keras.saving.load_model(checkpoint(_best(epochs)), compile=False)
    staging = path.with_name(f".{path.stem}.best.keras")
    with room_in(path.parent):
        best.save(staging)
    staging.replace(path)
    for epoch in range(1, len(epochs) + 1):
        checkpoint(epoch).unlink(missing_ok=True)


def _read_log(file):
    try:
        log = json.loads(file.read_text(encoding="utf-8"))
        for epoch in log["epochs"]:
            if not isinstance(epoch["val_loss"], float):
                raise ValueError("a loss is no number")
        return log
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(file, error) from error


def _resume(checkpoint, log):
    """The network after the last epoch that was written down."""
    try:
        model = keras.saving.load_model(checkpoint)
        # Not kept in the file.
        for state, value in zip(_dropout_states(model), log.get("dropout", ()), strict=False):
            state.assign(value)
        return model
    except Exception as error:  # Keras lets through whatever its readers raise.
        raise _damaged(checkpoint, error) from error


def _damaged(file, error):
    return ValueError(
        f"Expected what a training that was stopped wrote in {file}. Received: "
        f"{type(error).__name__} ({str(error)[:300]}); remove the file and the training starts "
        "anew."
    )


def _dropout_states(model):
    """Variables with the state of the random generators of a model's dropout layers."""
    return [
        layer.seed_generator.state
        for layer in model.layers
        if isinstance(layer, keras.layers.Dropout)
    ]


def _best(epochs):
    """Number of the epoch with the lowest validation loss, from 1; 0 before the first."""
    losses = [epoch["val_loss"] for epoch in epochs]
    return losses.index(min(losses)) + 1 if losses else 0
