"""Baselines are trained once, whatever stops the training in between."""

import contextlib
import itertools
import json

import keras
import numpy as np
import pytest
from eagerly import eagerly
from full_disk import no_file_over

import kerasft
from kerasft.datasets import ImageDataset
from kerasft.experiments import NETWORKS, Baseline, ImageStore, train_baseline
from kerasft.experiments import baseline as module

SHORT = Baseline("cifar10_cnn", epochs=2)

PAPER = dict(NETWORKS)

# Losses that are made up for these settings: the third epoch is the best, the
# fifth the last.
MADE_UP = Baseline("cifar10_cnn", epochs=12, patience=2, batch_size=40)
LOSSES = (2.0, 2.5, 1.0, 1.2, 1.0, 0.5)
STEPS = 4


def _small_network(classes, shape):
    """All kinds of layers that the networks have, compiled in a moment."""
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.25),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module", autouse=True)
def small_network():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "cifar10_cnn", _small_network)
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """160 digits to train on and 40 to validate."""
    return _store(tmp_path_factory.mktemp("store"), 200)


def _store(cache, size):
    images, labels = kerasft.datasets.digits()
    names = tuple(map(str, range(10)))
    test = slice(size, size + 20)
    return ImageStore.create(
        ImageDataset(images[:size], labels[:size], images[test], labels[test], names), cache
    )


@contextlib.contextmanager
def _recorded_fits(losses=None):
    """`model.fit` does what it does; gives the list of weights after each call.

    With `losses` it claims these validation losses, epoch by epoch.
    """
    fit, weights = keras.Model.fit, []

    def record(model, *arguments, **options):
        history = fit(model, *arguments, **options)
        weights.append(model.get_weights())
        if losses is not None:
            epoch = int(model.optimizer.iterations) // STEPS
            history.history["val_loss"] = [losses[epoch - 1]]
        return history

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "fit", record)
        yield weights


@pytest.fixture
def fits():
    with _recorded_fits() as weights:
        yield weights


@pytest.fixture
def made_up_fits():
    with _recorded_fits(LOSSES) as weights:
        yield weights


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory):
    """A baseline of made-up losses, never stopped; and the weights after each epoch."""
    with _recorded_fits(LOSSES) as weights:
        path = train_baseline(MADE_UP, store, tmp_path_factory.mktemp("whole"))
    return path, weights


@pytest.fixture
def eager():
    with eagerly():
        yield


@pytest.fixture(scope="module")
def eager_whole(store, tmp_path_factory):
    """As `whole`, trained eagerly; rounding may differ."""
    with eagerly(), _recorded_fits(LOSSES) as weights:
        path = train_baseline(MADE_UP, store, tmp_path_factory.mktemp("eager_whole"))
    return path, weights


def _weights(path):
    return keras.saving.load_model(path).get_weights()


def _assert_same_bytes(ours, theirs):
    assert [w.tobytes() for w in ours] == [w.tobytes() for w in theirs]


def _epochs(path):
    return json.loads(path.with_suffix(".json").read_text())["epochs"]


@pytest.fixture(scope="module")
def short(store, tmp_path_factory):
    """A baseline of `SHORT` in a folder that was not there; and the weights after each epoch."""
    with _recorded_fits() as weights:
        path = train_baseline(SHORT, store, tmp_path_factory.mktemp("short") / "new" / "cache")
    return path, weights


def test_a_baseline_is_trained_once_and_found_the_second_time(store, short, fits):
    path, weights = short
    assert len(weights) == 2
    cache, content = path.parent, path.read_bytes()
    assert train_baseline(Baseline("cifar10_cnn", epochs=2), store, str(cache)) == path
    assert fits == []
    assert path.read_bytes() == content
    assert sorted(file.name for file in cache.iterdir()) == [f"{path.stem}.json", path.name]


def test_the_log_says_what_was_trained_and_how_it_went(store, short):
    log = json.loads(short[0].with_suffix(".json").read_text())
    assert log["baseline"] == {
        "network": "cifar10_cnn", "epochs": 2, "patience": 15, "batch_size": 64, "seed": 0,
        "images": store.digest,
    }  # fmt: skip
    assert len(log["epochs"]) == 2
    for epoch in log["epochs"]:
        assert set(epoch) == {"loss", "accuracy", "val_loss", "val_accuracy"}


@pytest.mark.parametrize("network", list(PAPER))
def test_the_network_is_the_papers_for_these_images(tmp_path, monkeypatch, network):
    monkeypatch.setitem(NETWORKS, network, PAPER[network])
    store = _store(tmp_path, 40)
    path = train_baseline(Baseline(network, epochs=1), store, tmp_path)
    model = keras.saving.load_model(path)
    assert model.name == network
    assert model.input_shape == (None, 8, 8, 1)
    assert model.output_shape == (None, 10)
    # An optimizer's state does not go with it.
    assert not model.compiled
    assert set(module.TUNED_LAYERS[network]) <= {layer.name for layer in model.layers}


def test_other_settings_and_other_images_have_another_name(store, tmp_path):
    other = _store(tmp_path, 100)
    baselines = [
        Baseline("cifar10_cnn"),
        Baseline("all_conv_net"),
        Baseline("cifar10_cnn", epochs=199),
        Baseline("cifar10_cnn", patience=14),
        Baseline("cifar10_cnn", batch_size=32),
        Baseline("cifar10_cnn", seed=1),
    ]
    names = {baseline.name(images) for baseline in baselines for images in (store, other)}
    assert len(names) == 12
    assert Baseline("cifar10_cnn", seed=0).name(store) == baselines[0].name(store)
    assert baselines[1].name(store).startswith("all_conv_net-")


def test_another_seed_gives_other_weights(eager, store, tmp_path):
    first, second = (
        train_baseline(Baseline("cifar10_cnn", epochs=1, seed=seed), store, tmp_path)
        for seed in (0, 1)
    )
    assert (_weights(first)[0] != _weights(second)[0]).any()
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("network", ["resnet", "CIFAR10_CNN", None])
def test_an_unknown_network_is_refused(network):
    with pytest.raises(
        ValueError, match=rf"^Expected a network of all_conv_net, cifar10_cnn\. .*{network!r}\.$"
    ):
        Baseline(network)


def test_training_stops_when_the_loss_has_not_fallen_for_so_many_epochs(whole):
    path, weights = whole
    # Falling to where it was before is not falling.
    assert [epoch["val_loss"] for epoch in _epochs(path)] == [2, 2.5, 1, 1.2, 1]
    assert len(weights) == 5


def test_the_weights_kept_are_those_of_the_epoch_with_the_lowest_validation_loss(whole):
    path, weights = whole
    _assert_same_bytes(_weights(path), weights[2])
    assert all((weights[epoch][0] != weights[2][0]).any() for epoch in (0, 1, 3, 4))


def test_the_log_has_the_validation_loss_of_the_network(store, short):
    path, weights = short
    losses = [epoch["val_loss"] for epoch in _epochs(path)]
    best = losses.index(min(losses))
    _assert_same_bytes(_weights(path), weights[best])
    rows = store.validation_rows()
    images, labels = store.array("train_images")[rows], store.array("train_labels")[rows]
    probabilities = keras.saving.load_model(path)(images.astype("float32"))
    loss = -np.mean(np.log(np.asarray(probabilities)[np.arange(len(labels)), labels]))
    np.testing.assert_allclose(loss, losses[best], rtol=1e-5)


def test_a_loss_that_never_falls_leaves_the_weights_of_the_first_epoch(eager, store, tmp_path):
    with _recorded_fits((1.0, 1.0, 1.0, 0.5)) as weights:
        path = train_baseline(MADE_UP, store, tmp_path)
    assert len(weights) == 3
    _assert_same_bytes(_weights(path), weights[0])


@contextlib.contextmanager
def _stopping(place, number, *, after=False):
    """The n-th call of a function raises KeyboardInterrupt, before or after its work."""
    target, name = place
    function, calls = getattr(target, name), itertools.count(1)

    def call(*arguments, **options):
        stop = next(calls) == number
        if stop and not after:
            raise KeyboardInterrupt
        result = function(*arguments, **options)
        if stop:
            raise KeyboardInterrupt
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, name, call)
        yield


FIT, SAVE, LOG = (keras.Model, "fit"), (keras.Model, "save"), (module, "write_whole")


def test_a_training_that_is_stopped_ends_as_if_it_had_not_been(
    whole, store, made_up_fits, tmp_path
):
    _stop_and_go_on(whole, store, tmp_path, FIT, True, 4)


@pytest.mark.parametrize(
    ("place", "after", "number"),
    [
        (FIT, False, 1),
        (FIT, False, 2),
        (SAVE, True, 2),
        (LOG, True, 2),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else str(value),
)
def test_a_training_may_be_stopped_anywhere(
    eager, eager_whole, store, made_up_fits, tmp_path, place, after, number
):
    _stop_and_go_on(eager_whole, store, tmp_path, place, after, number)


def _stop_and_go_on(whole, store, tmp_path, place, after, number):
    with _stopping(place, number, after=after), pytest.raises(KeyboardInterrupt):
        train_baseline(MADE_UP, store, tmp_path)
    assert not list(tmp_path.glob("[!.]*.keras"))
    path = train_baseline(MADE_UP, store, tmp_path)
    assert path.name == whole[0].name
    _assert_same_bytes(_weights(path), _weights(whole[0]))
    assert path.with_suffix(".json").read_text() == whole[0].with_suffix(".json").read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{path.stem}.json", path.name]


def test_a_full_disk_is_told_with_its_place_and_the_training_goes_on(
    eager, eager_whole, store, made_up_fits, tmp_path
):
    with no_file_over(1000), pytest.raises(OSError, match=r"^Expected room for the") as told:
        train_baseline(MADE_UP, store, tmp_path)
    assert str(tmp_path) in str(told.value)
    path = train_baseline(MADE_UP, store, tmp_path)
    _assert_same_bytes(_weights(path), _weights(eager_whole[0]))
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{path.stem}.json", path.name]


def test_a_training_that_is_stopped_at_every_epoch_does_none_twice(
    eager, eager_whole, store, made_up_fits, tmp_path
):
    stops = 0
    while True:
        try:
            with _stopping(FIT, 2):
                path = train_baseline(MADE_UP, store, tmp_path)
            break
        except KeyboardInterrupt:
            stops += 1
            # The last and the best epoch, no more.
            assert len(list(tmp_path.glob(".*.keras"))) <= 2
    assert stops == len(eager_whole[1]) - 1
    _assert_same_bytes(_weights(path), _weights(eager_whole[0]))
    assert _epochs(path) == _epochs(eager_whole[0])


def test_stopped_when_the_best_network_is_written(
    eager, eager_whole, store, made_up_fits, tmp_path
):
    # After the checkpoints of all epochs.
    last = len(eager_whole[1]) + 1
    for after in (False, True):
        with _stopping(SAVE, last, after=after), pytest.raises(KeyboardInterrupt):
            train_baseline(MADE_UP, store, tmp_path)
        last = 1
    with _stopping(FIT, 1):
        path = train_baseline(MADE_UP, store, tmp_path)
    _assert_same_bytes(_weights(path), _weights(eager_whole[0]))
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{path.stem}.json", path.name]


def test_a_network_that_was_removed_is_trained_anew(
    eager, eager_whole, store, tmp_path, made_up_fits
):
    log = tmp_path / eager_whole[0].with_suffix(".json").name
    log.write_bytes(eager_whole[0].with_suffix(".json").read_bytes())
    path = train_baseline(MADE_UP, store, tmp_path)
    assert len(made_up_fits) == 5
    _assert_same_bytes(_weights(path), _weights(eager_whole[0]))
    assert path.with_suffix(".json").read_text() == eager_whole[0].with_suffix(".json").read_text()
