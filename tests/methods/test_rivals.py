"""What is particular to one method: entropy, low rank, correction units, random weights."""

import dataclasses

import keras
import numpy as np
import pytest

import kerasft
from kerasft.methods import METHODS, tent, whole_layers
from kerasft.methods.head import head_layers
from kerasft.models import all_conv_net, cifar10_cnn


def entropy(probabilities):
    """Entropy of each row, in nats, number by number."""
    return np.array([-sum(p * np.log(p) for p in row if p > 0) for row in probabilities.tolist()])


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_entropy_is_that_of_the_probabilities(from_logits, outputs):
    logits = np.random.default_rng(0).normal(0, 3, (40, outputs)).astype("float32")
    if outputs == 1:
        probabilities = 1 / (1 + np.exp(-logits))
        expected = entropy(np.hstack([probabilities, 1 - probabilities]))
    else:
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        expected = entropy(probabilities)
    given = keras.ops.convert_to_tensor(logits if from_logits else probabilities)
    result = keras.ops.convert_to_numpy(tent._entropy(given, from_logits))
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_certain_predictions_have_finite_entropy():
    result = tent._entropy(keras.ops.convert_to_tensor([[1.0, 0.0, 0.0]]), False)
    assert keras.ops.convert_to_numpy(result).tolist() == pytest.approx([0])


def test_tent_is_surer_than_statistics_alone_and_no_worse(problem, accuracy):
    images = problem.distorted
    # As many steps as it takes on every backend.
    more_steps = dataclasses.replace(problem, batch_size=32)
    adapted = kerasft.recalibrate_batch_norm(problem.model, images, prior=0)
    tented = METHODS["tent"].apply(more_steps, 0).model
    entropies = [entropy(m.predict(images, verbose=0)).mean() for m in (adapted, tented)]
    assert entropies[1] < 0.8 * entropies[0]
    assert accuracy(tented) > accuracy(problem.model) + 0.15


def test_tent_gives_statistics_of_the_distorted_images(problem, outcome_of):
    model = outcome_of("tent").model
    below = keras.Model(model.inputs, model.get_layer("conv1").output)
    maps = below.predict(problem.distorted, verbose=0)
    norm = model.get_layer("norm1")
    np.testing.assert_allclose(norm.moving_mean, maps.mean(axis=(0, 1, 2)), atol=1e-4)


def test_tent_has_nothing_to_learn_without_scale_and_offset(problem):
    layers = keras.layers
    bare = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(scale=False, center=False),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    reason = METHODS["tent"].reason_against(dataclasses.replace(problem, model=bare))
    assert reason == "The model's batch normalizations have no scale and no offset."


def test_tent_does_not_look_at_labels(short):
    unlabelled = dataclasses.replace(short, labels=None, validation=None)
    results = [METHODS["tent"].apply(p, 0).model.get_weights() for p in (short, unlabelled)]
    assert [w.tobytes() for w in results[0]] == [w.tobytes() for w in results[1]]


def flat():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(6, name="hidden"),
            keras.layers.Dense(3, name="last"),
        ]
    )


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        (cifar10_cnn((8, 8, 1)), ["dense", "probabilities"]),
        (all_conv_net(10, (8, 8, 1)), ["conv9"]),
        (flat(), ["last"]),
        (keras.Sequential([keras.Input((8,)), keras.layers.ReLU()]), []),
    ],
    ids=["dense", "all convolutions", "no convolution", "no weights"],
)
def test_the_head_is_what_stands_behind_the_last_convolution(model, layers):
    assert head_layers(model) == layers


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, ["conv1", "conv2", "conv3"]),
        (("conv5", "conv2", "conv4", "conv1"), ["conv1", "conv2"]),
        (("conv7",), ["conv7"]),
    ],
)
def test_the_first_layers_are_three_or_half_of_them(problem, monkeypatch, named, expected):
    chosen = []
    monkeypatch.setattr(whole_layers, "train_filters", lambda *args: chosen.append(args[3]))
    net = dataclasses.replace(problem, model=all_conv_net(10, (8, 8, 1)), layers=named)
    METHODS["first layers"].apply(net, 0)
    assert {name: len(filters) for name, filters in chosen[0].items()} == {
        name: net.model.get_layer(name).filters for name in expected
    }


def test_lora_changes_kernels_by_matrices_of_rank_four(problem, outcome_of):
    for name in ("conv1", "conv2", "conv3"):
        old, new = (
            m.get_layer(name).get_weights()[0] for m in (problem.model, outcome_of("lora").model)
        )
        change = (new - old).astype("float64").reshape(-1, old.shape[-1])
        values = np.linalg.svd(change, compute_uv=False)
        assert values[3] > 1e-4
        # What rounding to float32 leaves.
        assert (values[4:] < 1e-5).all()
        assert not outcome_of("lora").model.get_layer(name).lora_enabled


def test_lora_leaves_constrained_kernels_alone(problem):
    layers = keras.layers
    constrained = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, kernel_constraint="unit_norm", name="conv1"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    reason = METHODS["lora"].reason_against(dataclasses.replace(problem, model=constrained))
    assert "constraint" in reason


class Wired(keras.Model):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.inside = keras.layers.Conv2D(3, 3, name="inside")

    def call(self, inputs):
        return self.inside(inputs)

    def get_config(self):
        return {"name": self.name}


@pytest.mark.parametrize("name", ["lora", "all convolutions"])
def test_convolutions_out_of_reach_are_refused_before_training(name, short, monkeypatch):
    image = keras.Input((8, 8, 1))
    x = Wired(name="wired")(keras.layers.Conv2D(4, 3, name="conv")(image))
    x = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x))
    monkeypatch.setattr(keras.Model, "fit", None)
    model = dataclasses.replace(short, model=keras.Model(image, x))
    message = r"Received: \['wired/inside'\], inside 'wired' of class Wired, .*wired in code"
    with pytest.raises(ValueError, match=message):
        METHODS[name].apply(model, 0)


def test_lora_is_for_kinds_of_convolutions_that_it_can_be_merged_into(short):
    layers = keras.layers
    stack = [layers.Conv2D(4, 3, name="conv"), layers.Flatten(), layers.Dense(10, name="head")]
    model = keras.Sequential([keras.Input((8, 8, 1)), *stack])
    both = dataclasses.replace(short, model=model, layers=("conv", "head"))
    with pytest.raises(ValueError, match=r"^Expected a Conv1D, .* Received: 'head', a Dense"):
        METHODS["lora"].apply(both, 0)
    alone = METHODS["lora"].apply(dataclasses.replace(both, layers=("conv",)), 0)
    before, after = (m.get_layer("head").get_weights()[0] for m in (model, alone.model))
    assert (before == after).all()


def test_correction_units_change_a_quarter_of_the_maps(problem, outcome_of):
    corrected = outcome_of("deepcorrect").model
    for name, channels in (("conv1", 1), ("conv2", 8), ("conv3", 16)):
        maps = np.random.default_rng(0).normal(size=(3, 5, 5, channels)).astype("float32")
        before = keras.ops.convert_to_numpy(problem.model.get_layer(name)(maps))
        after = keras.ops.convert_to_numpy(corrected.get_layer(name)(maps))
        changed = np.any(before != after, axis=(0, 1, 2))
        assert changed.sum() == before.shape[-1] // 4


def test_units_correct_the_filters_that_are_ranked_first(problem, outcome_of):
    data = kerasft.RankingData(problem.clean, problem.distorted, problem.labels)
    ranking = kerasft.rank_filters_by("correction", problem.model, data, layers=["conv2"])
    maps = np.random.default_rng(0).normal(size=(3, 5, 5, 8)).astype("float32")
    before, after = (
        keras.ops.convert_to_numpy(m.get_layer("conv2")(maps))
        for m in (problem.model, outcome_of("deepcorrect").model)
    )
    changed = np.flatnonzero(np.any(before != after, axis=(0, 1, 2)))
    assert changed.tolist() == sorted(ranking.select(0.25)["conv2"])


def test_above_a_cut_the_loss_of_half_precision_is_scaled_too(short, monkeypatch):
    half = keras.models.clone_model(short.model)
    half.set_weights(short.model.get_weights())
    half.dtype_policy = "mixed_float16"
    fit, fitted = keras.Model.fit, []

    def record(model, *args, **kwargs):
        fitted.append(model)
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", record)
    METHODS["head"].apply(dataclasses.replace(short, model=half), 0)
    [upper] = fitted
    assert upper.inputs[0].shape != half.inputs[0].shape
    assert isinstance(upper.optimizer, keras.optimizers.LossScaleOptimizer)


def test_scratch_learns_where_the_source_knows_nothing(problem, accuracy):
    longer = dataclasses.replace(problem, epochs=25, learning_rate=1e-2)
    assert accuracy(METHODS["scratch"].apply(longer, 0).model) > 0.7


def test_scratch_has_nothing_of_the_source(short):
    other = keras.models.clone_model(short.model)
    rng = np.random.default_rng(0)
    other.set_weights([rng.uniform(1, 2, w.shape) for w in other.get_weights()])
    other.trainable = False
    results = [
        [w.tobytes() for w in METHODS["scratch"].apply(p, 5).model.get_weights()]
        for p in (short, dataclasses.replace(short, model=other))
    ]
    assert results[0] == results[1]


def test_scratch_keeps_what_was_not_learned(short):
    normalization = keras.layers.Normalization(name="adapted")
    normalization.adapt(short.clean)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            normalization,
            keras.layers.Conv2D(4, 3, name="conv1"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, name="head"),
        ]
    )
    result = METHODS["scratch"].apply(dataclasses.replace(short, model=model), 0).model
    for old, new in zip(
        normalization.get_weights(), result.get_layer("adapted").get_weights(), strict=True
    ):
        assert old.tobytes() == new.tobytes()
    kernels = [m.get_layer("conv1").get_weights()[0] for m in (model, result)]
    assert (kernels[0] != kernels[1]).all()
