import csv

import keras
import numpy as np
import pytest

import kerasft
from kerasft import SusceptibilityAnalyzer


@pytest.fixture
def trainable(model):
    fresh = keras.models.clone_model(model)
    fresh.set_weights(model.get_weights())
    fresh.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    return fresh


@pytest.fixture
def labels(clean):
    return np.arange(len(clean)) % 2


def test_fit_ranks_before_training_and_after_each_epoch(trainable, clean, distorted, labels, agree):
    before = kerasft.rank_filters(trainable, clean, distorted)
    analyzer = SusceptibilityAnalyzer(clean, distorted, batch_size=4)
    history = trainable.fit(clean, labels, epochs=3, verbose=0, callbacks=[analyzer]).history
    assert len(analyzer.rankings) == 4
    agree(analyzer.rankings[0], before)
    agree(analyzer.rankings[-1], kerasft.rank_filters(trainable, clean, distorted))
    assert sorted(history) == ["emd_first", "emd_second", "loss"]
    for name in ("first", "second"):
        logged = [ranking[name].mean_distance.mean() for ranking in analyzer.rankings[1:]]
        assert history[f"emd_{name}"] == logged
        assert len(set(logged)) == 3


class Wired(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(3, 3, name="first")
        self.head = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])

    def call(self, inputs):
        return self.head(self.conv(inputs))


def loose():
    parts = [keras.layers.Conv2D(3, 3, name="first"), keras.layers.Flatten()]
    return keras.Sequential([*parts, keras.layers.Dense(2, "softmax")])


@pytest.mark.parametrize("build", [loose, Wired])
def test_models_that_only_fit_builds_are_ranked_from_the_first(build, clean, distorted, labels):
    model = build()
    model.compile("sgd", "sparse_categorical_crossentropy")
    analyzer = SusceptibilityAnalyzer(clean, distorted)
    history = model.fit(clean, labels, epochs=2, verbose=0, callbacks=[analyzer]).history
    assert len(analyzer.rankings) == 3
    assert sorted(history) == ["emd_first", "loss"]


def test_validation_in_fit_is_not_ranked(trainable, clean, distorted, labels):
    analyzer = SusceptibilityAnalyzer(clean, distorted, layers=["first"])
    history = trainable.fit(
        clean,
        labels,
        epochs=2,
        verbose=0,
        validation_data=(distorted, labels),
        callbacks=[analyzer],
    ).history
    assert len(analyzer.rankings) == 3
    assert sorted(history) == ["emd_first", "loss", "val_loss"]


def test_every_second_epoch_repeats_the_last_value_in_between(
    trainable, clean, distorted, labels, tmp_path
):
    analyzer = SusceptibilityAnalyzer(clean, distorted, layers=["second"], every=2)
    log = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    history = trainable.fit(clean, labels, epochs=5, verbose=0, callbacks=[analyzer, log]).history
    ranked = [ranking["second"].mean_distance.mean() for ranking in analyzer.rankings]
    assert len(ranked) == 3
    expected = [ranked[0], ranked[1], ranked[1], ranked[2], ranked[2]]
    assert history["emd_second"] == expected
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(row["emd_second"]) for row in rows], expected)


def test_training_is_the_same_with_and_without_it(trainable, clean, distorted, labels):
    start, results = trainable.get_weights(), []
    for callbacks in ([], [SusceptibilityAnalyzer(clean, distorted)]):
        trainable.set_weights(start)
        trainable.compile(keras.optimizers.SGD(0.1), trainable.loss, jit_compile=False)
        # One seed for the shuffling; the model's dropout has its own, part of its state.
        keras.utils.set_random_seed(5)
        trainable.get_layer(index=3).seed_generator.state.assign([0, 0])
        trainable.fit(clean, labels, epochs=2, verbose=0, callbacks=callbacks)
        results.append(trainable.get_weights())
    for without, beside in zip(*results, strict=True):
        np.testing.assert_array_equal(without, beside)


def test_second_fit_starts_its_rankings_anew(trainable, clean, distorted, labels):
    analyzer = SusceptibilityAnalyzer(clean, distorted, layers=["first"])
    for epochs in (2, 1):
        trainable.fit(clean, labels, epochs=epochs, verbose=0, callbacks=[analyzer])
        assert len(analyzer.rankings) == epochs + 1


@pytest.mark.parametrize("use", ["evaluate", "predict"])
def test_evaluate_and_predict_rank_once_at_their_end(
    trainable, clean, distorted, labels, agree, use
):
    analyzer = SusceptibilityAnalyzer(clean, distorted)
    arguments = {"batch_size": 4, "verbose": 0, "callbacks": [analyzer]}
    for calls in (1, 2):
        if use == "evaluate":
            trainable.evaluate(clean, labels, **arguments)
        else:
            trainable.predict(clean, **arguments)
        assert len(analyzer.rankings) == calls
    agree(analyzer.rankings[0], kerasft.rank_filters(trainable, clean, distorted))


def test_evaluate_after_a_fit_that_was_interrupted_is_ranked(trainable, clean, distorted, labels):
    def interrupt(epoch, logs):
        raise KeyboardInterrupt

    analyzer = SusceptibilityAnalyzer(clean, distorted, layers=["first"])
    stop = keras.callbacks.LambdaCallback(on_epoch_end=interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainable.fit(clean, labels, verbose=0, callbacks=[analyzer, stop])
    ranked = len(analyzer.rankings)
    trainable.evaluate(clean, labels, verbose=0, callbacks=[analyzer])
    assert len(analyzer.rankings) == ranked + 1


def test_distortion_may_be_a_function(trainable, clean, labels, agree):
    noise = kerasft.AdditiveWhiteGaussianNoise(25, seed=1)
    analyzer = SusceptibilityAnalyzer(clean, noise, batch_size=4)
    trainable.predict(clean, verbose=0, callbacks=[analyzer])
    agree(analyzer.rankings[0], kerasft.rank_filters(trainable, clean, noise(clean)))


def test_partially_trainable_model_is_analyzed_while_it_trains(trainable, clean, distorted, labels):
    partial = kerasft.make_partially_trainable(trainable, {"first": [1, 4]})
    partial.compile(keras.optimizers.SGD(1.0), trainable.loss, jit_compile=False)
    analyzer = SusceptibilityAnalyzer(clean, distorted, layers=["first"])
    partial.fit(clean, labels, epochs=1, verbose=0, callbacks=[analyzer])
    before, after = (ranking["first"].mean_distance for ranking in analyzer.rankings)
    assert np.flatnonzero(~np.isclose(before, after, rtol=1e-5)).tolist() == [1, 4]


def test_model_under_a_distribution_strategy_is_analyzed(clean, distorted, labels):
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("strategies are TensorFlow's")
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        mirrored = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Conv2D(4, 3, name="conv"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(2, activation="softmax"),
            ]
        )
        mirrored.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    analyzer = SusceptibilityAnalyzer(clean, distorted)
    history = mirrored.fit(clean, labels, verbose=0, callbacks=[analyzer]).history
    assert sorted(history) == ["emd_conv", "loss"]


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "1", None, float("nan")])
def test_interval_that_is_no_number_of_epochs_is_refused(clean, distorted, every):
    with pytest.raises(ValueError, match=f"^Expected every as a whole .* Received: {every!r}"):
        SusceptibilityAnalyzer(clean, distorted, every=every)


@pytest.mark.parametrize("make", [iter, lambda x: (x[i : i + 2] for i in range(0, 11, 2))])
@pytest.mark.parametrize("side", ["clean", "distorted"])
def test_images_that_can_be_read_only_once_are_refused(clean, make, side):
    pair = (make(clean), clean) if side == "clean" else (clean, make(clean))
    with pytest.raises(TypeError, match=f"^Expected {side} images that can be read more than once"):
        SusceptibilityAnalyzer(*pair)


@pytest.mark.parametrize(
    ("pairs", "arguments", "message"),
    [
        ((11, 9), {}, "as many clean as distorted"),
        ((11, 11), {"layers": ["conv7"]}, "a layer in the model. Received: 'conv7'"),
        ((11, 11), {"batch_size": 0}, "batch_size as a whole number"),
        ((0, 0), {}, "at least one pair"),
    ],
)
def test_what_cannot_be_ranked_is_refused_before_training(
    trainable, clean, distorted, labels, pairs, arguments, message
):
    before = trainable.get_weights()
    analyzer = SusceptibilityAnalyzer(clean[: pairs[0]], distorted[: pairs[1]], **arguments)
    with pytest.raises(ValueError, match=f"^Expected .*{message}"):
        trainable.fit(clean, labels, verbose=0, callbacks=[analyzer])
    for old, new in zip(before, trainable.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
