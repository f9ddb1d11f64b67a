"""Every method: what it changes and what not, what it wins, and when it does nothing."""

import dataclasses

import keras
import numpy as np
import pytest

from kerasft.methods import METHODS, Problem
from kerasft.models import cifar10_cnn

NORMS = {"norm1", "norm2", "norm3"}
CONVOLUTIONS = {"conv1", "conv2", "conv3"}
# Of ours: whatever filters fit into a quarter of the parameters.
FITTING = None
QUARTER = 2 * 9 + 4 * 72 + 4 * (144 + 1)
ALL = 72 + 8 * 9 * 16 + (16 * 9 + 1) * 16

# Of each method: layers that may change, trained and added parameters.
CHANGES = {
    "nothing": (set(), 0, 0),
    "batch norm": (NORMS, 0, 0),
    "filter moments": ({"conv3"} | NORMS, 0, 0),
    "tent": (NORMS, 2 * (8 + 16 + 16), 0),
    "head": ({"head"}, 256 * 10 + 10, 0),
    "first layers": ({"conv1"}, 72, 0),
    "all convolutions": (CONVOLUTIONS, ALL, 0),
    "whole network": (CONVOLUTIONS | NORMS | {"head"}, ALL + 80 + 2570, 0),
    "lora": (CONVOLUTIONS, 4 * (9 + 8) + 4 * (72 + 16) + 4 * (144 + 16) + 16, 0),
    "deepcorrect": (set(), *[50 + 188 + 188] * 2),
    "scratch": (CONVOLUTIONS | NORMS | {"head"}, ALL + 80 + 2570, 0),
    "most": (CONVOLUTIONS, QUARTER, 0),
    "gradient": (CONVOLUTIONS, QUARTER, 0),
    "emd gradient": (CONVOLUTIONS, QUARTER, 0),
    "most recalibrated": (CONVOLUTIONS | NORMS, QUARTER, 0),
    "gradient recalibrated": (CONVOLUTIONS | NORMS, QUARTER, 0),
    "emd gradient recalibrated": (CONVOLUTIONS | NORMS, QUARTER, 0),
    "all convolutions recalibrated": (CONVOLUTIONS | NORMS, ALL, 0),
    "first layers recalibrated": ({"conv1"} | NORMS, 72, 0),
    "whole network recalibrated": (CONVOLUTIONS | NORMS | {"head"}, ALL + 2570, 0),
    "gradient recalibrated, clean kept": (CONVOLUTIONS | NORMS, QUARTER, 0),
    "sensitive filters": (CONVOLUTIONS | NORMS, FITTING, 0),
    "sensitive filters, clean kept": (CONVOLUTIONS, FITTING, 0),
}
LABEL_FREE = ["nothing", "batch norm", "filter moments", "tent"]
TRAINING = sorted(set(CHANGES) - {"nothing", "batch norm", "filter moments"})


def weights_of(model, names):
    return [w.tobytes() for name in sorted(names) for w in model.get_layer(name).get_weights()]


def test_the_methods_are_those_of_the_table():
    assert list(METHODS) == list(CHANGES)
    for name, method in METHODS.items():
        assert method.name == name
        assert method.needs_labels == (name not in LABEL_FREE)


@pytest.mark.parametrize("name", CHANGES)
def test_only_what_a_method_changes_is_changed(name, problem, outcome_of):
    source, outcome = problem.model, outcome_of(name)
    changed, trained, added = CHANGES[name]
    if trained is FITTING:
        # No further filter fits.
        assert ALL / 4 - 145 < outcome.trained_parameters <= ALL / 4
    else:
        assert outcome.trained_parameters == trained
    assert outcome.added_parameters == added
    assert outcome.model.count_params() == source.count_params() + added
    assert outcome.model is not source
    assert not outcome.model.compiled
    assert 0 < outcome.epochs <= 6 if name in TRAINING else outcome.epochs == 0
    named = {layer.name for layer in source.layers if layer.weights}
    if name == "deepcorrect":
        for conv in CONVOLUTIONS:
            inner = outcome.model.get_layer(conv).get_layer(conv)
            assert weights_of(source, [conv]) == [w.tobytes() for w in inner.get_weights()]
        named -= CONVOLUTIONS
    else:
        assert [type(x) for x in outcome.model.layers] == [type(x) for x in source.layers]
    kept = {x for x in named if weights_of(source, [x]) == weights_of(outcome.model, [x])}
    if name == "sensitive filters, clean kept":
        # Filters alone, chosen of all layers together: one layer may get none.
        kept -= CONVOLUTIONS if CONVOLUTIONS - kept else set()
    assert kept == named - changed


def test_no_method_changes_the_source(source, outcome_of):
    model, before = source
    optimizer = model.optimizer
    for name in CHANGES:
        outcome_of(name)
    assert [w.tobytes() for w in model.get_weights()] == before
    assert model.optimizer is optimizer
    assert model.trainable
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.parametrize(
    "name",
    [
        *("nothing", "tent", "lora", "deepcorrect", "gradient"),
        *("sensitive filters", "sensitive filters, clean kept"),
    ],
)
def test_the_result_opens_again_and_predicts_the_same(name, problem, outcome_of, tmp_path):
    model = outcome_of(name).model
    images = problem.validation[0][:20]
    expected = model.predict(images, verbose=0)
    assert expected.shape == (20, 10)
    # Opens without `kerasft`.
    assert "kerasft" not in model.to_json()
    model.save(tmp_path / "model.keras")
    opened = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(opened.predict(images, verbose=0), expected)


@pytest.mark.parametrize(
    "name", ["tent", "head", "lora", "deepcorrect", "gradient recalibrated, clean kept"]
)
def test_the_same_seed_gives_the_same_bytes(name, short):
    one_layer = dataclasses.replace(short, layers=("conv1",))
    first, second = (METHODS[name].apply(one_layer, 3).model.get_weights() for _ in range(2))
    assert [w.tobytes() for w in first] == [w.tobytes() for w in second]


@pytest.mark.parametrize("name", ["head", "sensitive filters"])
def test_a_seed_of_numpy_is_that_of_python(name, short):
    ours, theirs = (METHODS[name].apply(short, seed).model for seed in (np.int64(3), 3))
    assert [w.tobytes() for w in ours.get_weights()] == [w.tobytes() for w in theirs.get_weights()]


def test_another_seed_gives_another_model(short):
    first, second = (METHODS["head"].apply(short, seed).model.get_weights() for seed in (3, 4))
    assert (first[-1] != second[-1]).any()


# This network has batch normalization, for want of which it is there.
OTHERS = {"nothing", "scratch", "tent", "filter moments"}


@pytest.mark.parametrize("name", sorted(set(CHANGES) - OTHERS))
def test_every_method_helps_where_contrast_is_lost(name, outcome_of, accuracy):
    before = accuracy(outcome_of("nothing").model)
    assert before < 0.5
    assert accuracy(outcome_of(name).model) > before + 0.15


def test_statistics_are_all_that_dark_images_ask_for(problem, accuracy):
    def darken(images):
        return 0.1 * images

    # Borders are as dark, so that batch normalization undoes all of it, on every backend.
    clean, dark = accuracy(problem.model, lambda x: x), accuracy(problem.model, darken)
    assert dark < clean - 0.3
    darkened = dataclasses.replace(problem, distorted=darken(problem.clean))
    assert accuracy(METHODS["batch norm"].apply(darkened, 0).model, darken) > clean - 0.05


@pytest.mark.parametrize("name", ["most", "gradient", "first layers", "all convolutions"])
def test_recalibration_comes_on_top_of_training(name, outcome_of, accuracy):
    recalibrated = accuracy(outcome_of(f"{name} recalibrated").model)
    assert recalibrated > accuracy(outcome_of(name).model)


def test_statistics_follow_the_weights_though_steps_are_few(problem, accuracy):
    # Keras's own momentum: of the source's statistics 0.99 ** 12 would be left.
    slow = keras.models.clone_model(problem.model)
    slow.set_weights(problem.model.get_weights())
    for layer in slow.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99
    model = (
        METHODS["whole network"].apply(dataclasses.replace(problem, model=slow, epochs=3), 0).model
    )
    assert accuracy(model) > accuracy(slow) + 0.3
    assert [layer.momentum for layer in model.layers if hasattr(layer, "momentum")] == [0.99] * 3


def test_other_labels_are_learned_by_the_head(problem, accuracy):
    images, validation = problem.clean, problem.validation[0]
    shifted = dataclasses.replace(
        problem,
        distorted=images,
        labels=(problem.labels + 1) % 10,
        validation=((validation - 120) / 0.35, (problem.validation[1] + 1) % 10),
        learning_rate=1e-2,
    )
    model = METHODS["head"].apply(shifted, 0).model
    right = model.predict(images, verbose=0).argmax(axis=1) == shifted.labels
    assert right.mean() > 0.8
    assert accuracy(model, lambda x: x) < 0.2


@pytest.mark.parametrize("name", ["head", "first layers", "lora", "deepcorrect", "gradient"])
def test_without_steps_the_model_stays_as_it_is(name, still):
    model = METHODS[name].apply(still, 0).model
    images = still.validation[0]
    expected = still.model.predict(images, verbose=0)
    # XLA rounds by what it puts together.
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-6)


@pytest.fixture(scope="module")
def plain():
    """A network without batch normalization."""
    return cifar10_cnn((8, 8, 1))


@pytest.fixture(scope="module")
def flat():
    """A network without convolutions."""
    return keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )


def not_usable(problem):
    reasons = {name: method.reason_against(problem) for name, method in METHODS.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def test_every_method_but_one_suits_a_network_with_everything(problem):
    assert set(not_usable(problem)) == {"filter moments"}


def test_methods_say_why_they_do_not_suit_a_network(problem, plain, flat):
    without_norm = not_usable(dataclasses.replace(problem, model=plain))
    needing_norm = {"batch norm", "tent", *(n for n in METHODS if "recalibrated" in n)}
    assert set(without_norm) == needing_norm
    assert set(without_norm.values()) == {"The model has no batch normalization."}
    without_convolution = not_usable(dataclasses.replace(problem, model=flat))
    usable = set(METHODS) - set(without_convolution)
    assert usable == {"nothing", "head", "whole network", "scratch"}
    assert "convolutions" in without_convolution["lora"]


def test_methods_say_why_they_do_not_suit_the_images(problem):
    unlabelled = not_usable(Problem(problem.model, problem.distorted))
    del unlabelled["filter moments"]
    assert set(METHODS) - set(unlabelled) == set(LABEL_FREE)
    assert all("labels" in reason for reason in unlabelled.values())

    def not_usable_by_images(problem):
        return set(not_usable(problem)) - {"filter moments"}

    unpaired = not_usable_by_images(dataclasses.replace(problem, paired=False))
    needing_pairs = {"deepcorrect", *(n for n in METHODS if n.startswith(("most", "emd")))}
    needing_pairs.add("sensitive filters, clean kept")
    assert unpaired == needing_pairs
    alone = not_usable_by_images(
        dataclasses.replace(problem, clean=None, clean_labels=None, paired=False)
    )
    assert alone == needing_pairs | {"gradient recalibrated, clean kept"}
    unlabelled_clean = dataclasses.replace(problem, paired=False, clean_labels=None)
    assert not_usable_by_images(unlabelled_clean) == alone


@pytest.fixture(scope="module")
def tiny():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    stack = [layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(name="norm")]
    stack += [layers.DepthwiseConv2D(3, name="depthwise"), layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((8, 8, 1)), *stack, layers.Dense(10, name="head")])


# They look at no convolutions, or at all of them.
WHATEVER_LAYERS = {"nothing", "batch norm", "tent", "head", "scratch"}
WHATEVER_LAYERS |= {"whole network", "whole network recalibrated"}


@pytest.mark.parametrize("layer", ["depthwise", "head"])
@pytest.mark.parametrize("name", [name for name in CHANGES if name not in WHATEVER_LAYERS])
def test_layers_that_have_no_filters_to_train_are_refused(name, layer, tiny, short):
    few = dataclasses.replace(short, model=tiny, layers=(layer,))
    reason = METHODS[name].reason_against(few)
    if reason is None:
        with pytest.raises(ValueError, match=rf"^Expected .* Received: '{layer}'"):
            METHODS[name].apply(few, 0)
    else:
        assert reason.endswith(".")


NESTED = ["head", "first layers", "lora", "deepcorrect", "scratch", "gradient"]


@pytest.mark.parametrize("name", NESTED)
def test_nested_models_with_fused_activations_and_logits(name, short):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((8, 8, 1))
    features = layers.Conv2D(4, 3, activation="relu", name="conv1")(inputs)
    features = layers.Conv2D(8, 3, activation="elu", strides=2, name="conv2")(features)
    inner = keras.Model(inputs, features, name="inner")
    image = keras.Input((8, 8, 1))
    x = layers.Flatten()(inner(layers.Rescaling(1 / 255)(image)))
    model = keras.Model(image, layers.Dense(10, name="head")(x))
    outcome = METHODS[name].apply(dataclasses.replace(short, model=model), 0)
    trained = {
        "head": model.get_layer("head").count_params(),
        "first layers": 40,
        "lora": 4 * (9 + 4) + 4 + 4 * (36 + 8) + 8,
        "deepcorrect": 14 + 50,
        "scratch": model.count_params(),
        "gradient": 10 + 2 * 37,
    }
    assert outcome.trained_parameters == trained[name]
    assert outcome.model.output_shape == (None, 10)
    assert np.isfinite(outcome.model.predict(short.distorted, verbose=0)).all()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (lambda x, y: {"labels": y}, "labels"),
        (lambda x, y: {"validation": (x, y)}, "validation labels"),
        (lambda x, y: {"clean_labels": y}, "clean_labels"),
        (lambda x, y: {"other_clean": (x, y)}, "labels of other_clean"),
    ],
)
def test_labels_in_a_column_are_refused(short, settings, name):
    images, labels = short.validation
    message = rf"^Expected {name} as integers of shape \(images,\)\. Received: shape \(128, 1\)\.$"
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(short, **settings(images, labels[:, None]))
    dataclasses.replace(short, **settings(images, labels))
