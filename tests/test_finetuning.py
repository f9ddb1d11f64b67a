"""fine_tune: defaults, containers, losses and what stays as it was."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasft
from kerasft.models import cifar10_cnn


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    return cifar10_cnn((8, 8, 1))


@pytest.fixture(scope="module")
def data():
    images, labels = kerasft.datasets.digits()
    images = images.astype("float32")
    return (images[:96], labels[:96]), (images[96:160], labels[96:160])


SELECTION = {"conv1": [0, 5], "conv2": [1]}


def _tune(model, train, validation, **options):
    options = {"selection": SELECTION, "epochs": 2, "verbose": 0, **options}
    return kerasft.fine_tune(model, train, validation, **options)


def test_only_the_selected_filters_change_and_the_source_stays(model, data):
    before = [w.tobytes() for w in model.get_weights()]
    tuned = _tune(model, *data)
    assert [w.tobytes() for w in model.get_weights()] == before
    assert tuned.selection == SELECTION
    assert tuned.trained_parameters == 2 * 9 + 2 + 9 * 32 + 1
    for layer in model.layers:
        for old, new in zip(
            layer.get_weights(), tuned.model.get_layer(layer.name).get_weights(), strict=True
        ):
            changed = np.flatnonzero(np.any(old != new, axis=tuple(range(old.ndim - 1))))
            assert changed.tolist() == SELECTION.get(layer.name, [])


def test_a_ranking_is_selected_from(model, data):
    images = data[0][0]
    ranking = kerasft.rank_filters(model, images, kerasft.GaussianBlur(1.0))
    tuned = _tune(model, *data, selection=None, ranking=ranking, fraction=0.5, which="least")
    assert tuned.selection == ranking.select(0.5, which="least")


def test_early_stopping_restores_the_best_weights(model, data):
    tuned = _tune(model, *data, epochs=60, patience=2, optimizer=keras.optimizers.Adam(0.05))
    losses = tuned.history.history["val_loss"]
    assert len(losses) < 60
    assert len(losses) == int(np.argmin(losses)) + 1 + 2
    tuned.model.compile("adam", "sparse_categorical_crossentropy")
    loss = tuned.model.evaluate(*data[1], batch_size=64, verbose=0)
    assert loss == pytest.approx(min(losses), rel=1e-4)


def test_patience_is_fifteen_unless_told_otherwise(model, data):
    # Nothing can improve at a learning rate of zero.
    tuned = _tune(model, *data, epochs=100, optimizer=keras.optimizers.SGD(0.0))
    assert len(tuned.history.epoch) == 16


def test_the_same_seed_gives_the_same_model(model, data):
    weights = [_tune(model, *data, seed=seed).model.get_weights() for seed in (3, 3, 4)]
    for a, b in zip(weights[0], weights[1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert any(np.abs(a - c).max() > 1e-5 for a, c in zip(weights[0], weights[2], strict=True))


def test_a_seed_of_numpy_is_that_of_python(model, data):
    ours, theirs = (
        _tune(model, *data, epochs=1, seed=seed).model.get_weights() for seed in (np.int64(3), 3)
    )
    assert [w.tobytes() for w in ours] == [w.tobytes() for w in theirs]


def test_datasets_give_what_arrays_give(model, data):
    (images, labels), validation = data

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            part = slice(32 * i, 32 * i + 32)
            return images[part], labels[part]

    # No dropout and no shuffling, so that the three see the same batches.
    plain = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(6, 3, name="conv1"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(32)
    results = []
    for train in ((images, labels, np.ones(96, "float32")), dataset, Batches()):
        tuned = _tune(
            plain,
            train,
            validation,
            selection={"conv1": [2]},
            batch_size=96 if isinstance(train, tuple) else 32,
            epochs=1,
            optimizer=keras.optimizers.SGD(0.0),
        )
        results.append(tuned.history.history["loss"][0])
    np.testing.assert_allclose(results, results[0], rtol=1e-5)


@pytest.mark.parametrize("activation", ["softmax", "linear"])
@pytest.mark.parametrize("one_hot", [False, True])
def test_the_cross_entropy_fits_labels_and_outputs(data, activation, one_hot):
    keras.utils.set_random_seed(0)
    (images, labels), _ = data
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(6, 3, name="conv1"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation=activation),
        ]
    )
    outputs = model.predict(images, verbose=0)
    if activation == "linear":
        outputs = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    expected = -np.log(outputs[np.arange(96), labels]).mean()
    target = keras.utils.to_categorical(labels, 10) if one_hot else labels
    tuned = _tune(
        model,
        (images, target),
        (images, target),
        selection={"conv1": [0]},
        epochs=1,
        batch_size=96,
        optimizer=keras.optimizers.SGD(0.0),
    )
    assert tuned.history.history["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_two_classes_with_one_output(data):
    (images, labels), _ = data
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, name="conv1"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    tuned = _tune(
        model, (images, labels % 2), (images, labels % 2), selection={"conv1": [0]}, epochs=1
    )
    assert np.isfinite(tuned.history.history["loss"][0])


def test_the_loss_of_a_compiled_model_is_kept(model, data):
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(ignore_class=3))
    tuned = _tune(model, *data)
    assert tuned.history.model.loss is model.loss
    assert model.compiled
    assert not tuned.model.compiled


@pytest.mark.parametrize("side", ["train", "validation"])
def test_labels_are_looked_at_whoever_chose_the_loss(model, data, side):
    sets = dict(zip(("train", "validation"), data, strict=True))
    images, labels = sets[side]
    bad = {**sets, side: (images, labels + 100)}
    with pytest.raises(ValueError, match=f"Expected labels from 0 to 9 in {side}"):
        _tune(model, **bad, loss="sparse_categorical_crossentropy")
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy())
    with pytest.raises(ValueError, match=f"Expected labels from 0 to 9 in {side}"):
        _tune(model, **bad)


def test_a_single_callback_or_none(model, data):
    log = keras.callbacks.History()
    _tune(model, *data, callbacks=log, epochs=1)
    assert log.epoch == [0]
    assert _tune(model, *data, callbacks=None, epochs=1).history.epoch == [0]


def test_what_cannot_be_taken_for_data_or_a_name_is_refused(model, data):
    with pytest.raises(TypeError, match=r"^Expected validation as .* Received: NoneType\."):
        _tune(model, data[0], None)
    with pytest.raises(TypeError, match=r"^Expected monitor as .* Received: None\."):
        _tune(model, *data, monitor=None)


@pytest.mark.parametrize("callbacks", [5, [5], [None], "early stopping"])
def test_what_are_no_callbacks_is_refused(model, callbacks):
    message = r"^Expected callbacks as a list of Keras callbacks\. Received: .*\.$"
    with pytest.raises(TypeError, match=message):
        _tune(model, None, None, callbacks=callbacks)


def test_callbacks_are_taken_from_what_is_read_once(model, data):
    tuned = _tune(model, *data, callbacks=iter([keras.callbacks.Callback()]), epochs=1)
    assert tuned.cached_prefix == ()


def test_a_monitor_that_nothing_logs_is_refused_before_training(model, data, monkeypatch):
    def fit(self, *args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr(keras.Model, "fit", fit)
    message = r"^Expected monitor as one of \['loss', .*'val_accuracy'\], .* Received: 'val_foo'\."
    with pytest.raises(ValueError, match=message):
        _tune(model, *data, monitor="val_foo")
    for arguments in (
        {"monitor": "emd_conv1"},
        {"monitor": "emd_conv1", "callbacks": [keras.callbacks.TerminateOnNaN()]},
        {"monitor": "mine", "callbacks": [keras.callbacks.Callback()]},
    ):
        with pytest.raises(ValueError, match=r"^Expected monitor .* or as emd_<layer> with a Susc"):
            _tune(model, *data, **arguments)
    for monitor in ("loss", "accuracy", "val_loss", "val_accuracy"):
        with pytest.raises(AssertionError, match="training began"):
            _tune(model, *data, monitor=monitor)


@keras.saving.register_keras_serializable()
class MeasuresMore(keras.Model):
    def compile(self, *arguments, metrics=(), **settings):
        top = keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")
        super().compile(*arguments, metrics=[*metrics, top], **settings)


def test_a_metric_that_a_class_compiles_may_be_monitored(model, data):
    model = MeasuresMore(model.inputs, model.outputs)
    assert "val_top" in _tune(model, *data, monitor="val_top").history.history


def test_the_selection_given_back_is_plain_whatever_was_given(model, data):
    given = {"conv2": iter([5, 0]), "conv1": np.array([3])}
    tuned = _tune(model, *data, selection=given, epochs=1)
    assert list(tuned.selection.items()) == [("conv2", [0, 5]), ("conv1", [3])]
    assert {type(i) for filters in tuned.selection.values() for i in filters} == {int}


@pytest.mark.parametrize("frozen", [False, True])
def test_the_selection_names_what_was_partially_trainable_before_too(model, data, frozen):
    once = kerasft.make_partially_trainable(model, {"conv2": [3, 1]})
    once.get_layer("conv2").trainable = not frozen
    tuned = _tune(once, *data, selection={"conv1": [5]}, epochs=1)
    assert tuned.selection == {"conv1": [5]} | ({} if frozen else {"conv2": [1, 3]})
    for layer in model.layers[:-1]:
        pairs = zip(
            layer.get_weights(), tuned.model.get_layer(layer.name).get_weights(), strict=True
        )
        assert any((a != b).any() for a, b in pairs) == (layer.name in tuned.selection)


def test_a_training_that_diverged_is_not_handed_back(model, data):
    with pytest.raises(ValueError, match=r"Received: .*, which diverged in training, with NaN in"):
        _tune(model, *data, optimizer=keras.optimizers.SGD(1e38))


def test_further_callbacks_and_trainable_layers(model, data, tmp_path):
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    tuned = _tune(model, *data, callbacks=[log], trainable=["probabilities"])
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    head = model.get_layer("probabilities").get_weights()[0]
    assert (tuned.model.get_layer("probabilities").get_weights()[0] != head).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"selection": None}, "one of ranking and selection. Received: none"),
        ({"ranking": {}}, "one of ranking and selection. Received: both"),
        ({"selection": {"conv9": [0]}}, "'conv9'"),
        ({"selection": {"conv1": [32]}}, "from 0 to 31. Received: 32"),
        ({"train": (np.zeros((0, 8, 8, 1)), np.zeros(0))}, "0 images and 0 labels"),
        ({"train": (np.zeros((3, 8, 8, 1)), np.zeros(2))}, "3 images and 2 labels"),
        ({"train": (np.zeros((3, 8, 8, 1)), np.full(3, 10))}, "labels from 0 to 9"),
        ({"train": (np.zeros((3, 8, 8, 1)), np.zeros((3, 7)))}, "one-hot labels for 10"),
        ({"train": (np.zeros((3, 8, 8, 1)),)}, "a tuple of 1"),
        ({"validation": (np.zeros((3, 8, 8, 1)), np.zeros(2))}, "in validation"),
    ],
)
def test_bad_arguments(model, data, options, message):
    arguments = {"train": data[0], "validation": data[1], **options}
    with pytest.raises(ValueError, match=f"Expected.*{message}"):
        _tune(model, **arguments)


def test_nothing_is_trained_on_nan(model, data):
    images = data[0][0].copy()
    images[3, 2, 2] = np.nan
    with pytest.raises(ValueError, match="Expected finite pixels in train"):
        _tune(model, (images, data[0][1]), data[1])


def _from_logits(images, outputs, loss):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(4, 3, name="conv"), keras.layers.GlobalAveragePooling2D()]
    head = keras.layers.Dense(outputs, name="logit")
    model = keras.Sequential([keras.Input(images.shape[1:]), *layers, head])
    # Of a Sequential model Keras has no name for the output, to look up a loss by.
    model = keras.Model(model.inputs, model.outputs)
    if loss is not None:
        model.compile("adam", loss)
    return model


@pytest.mark.parametrize(
    "loss",
    [
        None,
        [keras.losses.BinaryCrossentropy(from_logits=True)],
        {"logit": keras.losses.BinaryCrossentropy(from_logits=True)},
        keras.losses.BinaryFocalCrossentropy(from_logits=True),
    ],
)
def test_accuracy_of_a_single_logit_is_counted_at_zero(loss):
    images = np.random.default_rng(0).normal(0, 1, (64, 6, 6, 1)).astype("float32")
    model = _from_logits(images, 1, loss)
    logits = model.predict(images, verbose=0)[:, 0]
    labels = (logits > 0).astype(int)
    # Some are between the two thresholds.
    assert np.mean((logits > 0.5) == labels) < 0.9
    assert _accuracy_of(model, images, labels) == 1.0


def test_accuracy_of_several_logits_is_that_of_the_largest():
    images = np.random.default_rng(0).normal(0, 1, (64, 6, 6, 1)).astype("float32")
    model = _from_logits(images, 3, keras.losses.BinaryCrossentropy(from_logits=True))
    classes = model.predict(images, verbose=0).argmax(axis=1)
    # Of a third of the images another class.
    labels = np.where(np.arange(64) % 3, classes, (classes + 1) % 3)
    accuracy = _accuracy_of(model, images, keras.utils.to_categorical(labels, 3))
    np.testing.assert_allclose(accuracy, 42 / 64)


def _accuracy_of(model, images, labels):
    """The accuracy that `fine_tune` says of a model that it leaves as it is."""
    tuned = kerasft.fine_tune(
        model,
        (images, labels),
        (images, labels),
        selection={"conv": [0]},
        optimizer=keras.optimizers.SGD(0.0),
        epochs=1,
        verbose=0,
    )
    return tuned.history.history["val_accuracy"][0]


@pytest.mark.parametrize("optimizer", ["nope", None, 3, {"class_name": "Nope"}], ids=str)
def test_what_is_no_optimizer_is_refused_before_the_images_are_looked_at(model, optimizer):
    with pytest.raises(ValueError, match=r"^Expected optimizer as a keras\.optimizers\.Opt"):
        _tune(model, None, None, optimizer=optimizer)


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        ({"fraction": 7}, r"^Expected a fraction over 0 and at most 1\. Received: 7\.$"),
        ({"which": "mots"}, r"^Expected which as 'most', .* Received: 'mots'\.$"),
    ],
    ids=str,
)
def test_slips_beside_a_selection_are_refused(model, slip, message):
    with pytest.raises(ValueError, match=message):
        kerasft.fine_tune(model, None, None, selection={"conv1": [0]}, **slip)


def test_an_optimizer_of_another_model_is_refused_before_training(model, data):
    optimizer = keras.optimizers.Adam()
    _tune(model, *data, optimizer=optimizer, epochs=1)
    with pytest.raises(ValueError, match=r"that has trained nothing yet\. Received: 'adam"):
        _tune(model, None, None, optimizer=optimizer)
