"""make_partially_trainable and merge on every kind of model."""

import keras
import numpy as np
import pytest
from surgery_models import (
    MODELS,
    MODELS_WITHOUT_CONFIG,
    all_layers,
    assert_same_predictions,
    base_and_head,
    convolutions_of_every_kind,
    four_deep,
    frozen_slices,
    functional_with_dictionaries,
    inner_models_with_several_inputs_and_outputs,
    layers_of_the_user_around_convolutions,
    make,
    make_inputs,
    nested_two_deep,
    predictions,
    randomize,
    sequential,
    shared_by_inner_and_outer_model,
    weights,
    with_a_wired_model_inside,
)

import kerasft
from kerasft.layer_lookup import find_layer, named_layers
from kerasft.layers import PartiallyTrainable


@pytest.mark.parametrize(
    ("build", "selection"),
    [*MODELS.items(), *MODELS_WITHOUT_CONFIG.items()],
    ids=lambda x: getattr(x, "__name__", ""),
)
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_conversion_keeps_predictions_and_merge_gives_back_the_source(build, selection):
    model = make(build)
    inputs = make_inputs(model)
    before, config, flags = weights(model), model.get_config(), [x.trainable for x in model.layers]

    partial = kerasft.make_partially_trainable(model, selection)
    merged = kerasft.merge(partial)

    assert_same_predictions(partial, model, inputs)
    assert_same_predictions(merged, model, inputs)
    for copy in (partial, merged):
        assert type(copy) is type(model)
        assert [path for path, _ in all_layers(copy)] == [path for path, _ in all_layers(model)]
    assert weights(merged) == before
    assert [w.name for w in merged.weights] == [w.name for w in model.weights]
    converted = [find_layer(name, named_layers(model)) for name in selection]
    for path in converted:
        ours, theirs = named_layers(merged)[path], named_layers(model)[path]
        assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    assert all(layer.trainable for _, layer in all_layers(merged))
    if build in MODELS:
        assert merged.get_config() == config
    # The source stands as it stood, and shares nothing with its copies.
    assert model.get_config() == config or build not in MODELS
    assert [x.trainable for x in model.layers] == flags
    randomize(partial, seed=5)
    randomize(merged, seed=6)
    assert weights(model) == before


@pytest.mark.parametrize(
    ("build", "selection"), MODELS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_only_the_selected_filters_can_be_trained(build, selection):
    partial = kerasft.make_partially_trainable(make(build), selection)
    converted = {
        path: layer for path, layer in all_layers(partial) if isinstance(layer, PartiallyTrainable)
    }
    chosen = {path: layer.trainable_filters for path, layer in converted.items()}
    wanted = {find_layer(name, named_layers(partial)): f for name, f in selection.items()}
    assert chosen == {path: tuple(sorted(filters)) for path, filters in wanted.items()}
    expected = {id(w) for layer in converted.values() for w in layer.trainable_weights}
    assert {id(w) for w in partial.trainable_weights} == expected


def test_selection_by_path_reaches_the_layer_of_that_path():
    model = make(nested_two_deep)
    partial = kerasft.make_partially_trainable(model, {"inner/innermost/a": [2]})
    kinds = {path: type(layer).__name__ for path, layer in all_layers(partial)}
    assert kinds["inner/innermost/a"] == "PartiallyTrainableConv2D"
    assert kinds["inner/a"] == kinds["b"] == "Conv2D"


@pytest.mark.parametrize(
    "build",
    [
        base_and_head,
        shared_by_inner_and_outer_model,
        nested_two_deep,
        sequential,
        functional_with_dictionaries,
        with_a_wired_model_inside,
        four_deep,
        inner_models_with_several_inputs_and_outputs,
        convolutions_of_every_kind,
        layers_of_the_user_around_convolutions,
    ],
    ids=lambda build: build.__name__,
)
def test_frozen_bytes_and_batch_statistics_stand_through_training(build):
    partial = kerasft.make_partially_trainable(make(build), MODELS[build])
    inputs = make_inputs(partial, batch=8)
    targets = keras.tree.map_structure(lambda x: np.ones(x.shape), partial(inputs))
    before, trained = frozen_slices(partial), [w.numpy() for w in partial.trainable_weights]
    partial.compile(keras.optimizers.AdamW(0.05, weight_decay=0.3), "mse")
    partial.fit(inputs, targets, batch_size=4, epochs=2, verbose=0)
    assert frozen_slices(partial) == before
    for old, new in zip(trained, partial.trainable_weights, strict=True):
        assert (old != new.numpy()).any()


def test_predictions_after_training_survive_the_merge():
    model = make(base_and_head)
    partial = kerasft.make_partially_trainable(model, {"a": [3]}, trainable=["head"])
    inputs = make_inputs(model, batch=8)
    partial.compile(keras.optimizers.Adam(0.05), "mse")
    partial.fit(inputs, np.ones((8, 2)), epochs=2, verbose=0)
    merged = kerasft.merge(partial)
    assert not merged.compiled
    assert_same_predictions(merged, partial, inputs)
    assert np.abs(predictions(merged, inputs)[0] - predictions(model, inputs)[0]).max() > 1e-3


@pytest.mark.parametrize(
    ("build", "selection", "trainable", "paths"),
    [
        (sequential, {"a": [1]}, ["head"], ["head/kernel", "head/bias"]),
        (sequential, {"a": [1]}, ("b",), ["b/kernel"]),
        (base_and_head, {"a": [1]}, {"head"}, ["head/kernel", "head/bias"]),
        (nested_two_deep, {"b": [1]}, ["inner/a"], ["a/kernel", "a/bias"]),
        (
            nested_two_deep,
            {"b": [1]},
            ["innermost"],
            ["a/kernel", "a/bias", "norm/gamma", "norm/beta"],
        ),
        (
            layers_of_the_user_around_convolutions,
            {"a": [1]},
            ["block"],
            [
                "block/shift",
                "block_conv/kernel",
                "block_conv/bias",
                "block_norm/gamma",
                "block_norm/beta",
            ],
        ),
        (
            with_a_wired_model_inside,
            {"a": [1]},
            ["wired"],
            ["wired_inner/kernel", "wired_inner/bias"],
        ),
    ],
)
def test_layers_named_in_trainable_stay_trainable(build, selection, trainable, paths):
    partial = kerasft.make_partially_trainable(make(build), selection, trainable=trainable)
    (name,) = selection
    ends = sorted("/".join(w.path.split("/")[-2:]) for w in partial.trainable_weights)
    assert ends == sorted([f"{name}/kernel", f"{name}/bias", *paths])


def test_a_batch_normalization_named_in_trainable_learns_its_statistics():
    model = make(sequential)
    norm = model.layers[1].name
    partial = kerasft.make_partially_trainable(model, {"a": [1]}, trainable=[norm])
    before = partial.get_layer(norm).moving_mean.numpy()
    partial.compile("sgd", "mse")
    partial.fit(make_inputs(model), np.ones((2, 2)), epochs=1, verbose=0)
    assert (partial.get_layer(norm).moving_mean.numpy() != before).any()


@pytest.mark.parametrize("build", [sequential, base_and_head, nested_two_deep])
@pytest.mark.parametrize("how", ["model", "layers", "inner"])
def test_a_source_that_is_frozen_does_not_freeze_the_selection(build, how):
    model = make(build)
    frozen = {"model": [model], "layers": model.layers}.get(
        how, [x for x in model.layers if isinstance(x, keras.Model)]
    )
    for layer in frozen:
        layer.trainable = False
    flags = [layer.trainable for _, layer in all_layers(model)]
    selection = {build: MODELS[build] for build in MODELS}[build]
    partial = kerasft.make_partially_trainable(model, selection)
    assert len(partial.trainable_weights) == sum(
        1 + layer.use_bias
        for _, layer in all_layers(partial)
        if isinstance(layer, kerasft.PartiallyTrainableConv2D)
    )
    assert [layer.trainable for _, layer in all_layers(model)] == flags
    merged = kerasft.merge(partial)
    assert all(layer.trainable for _, layer in all_layers(merged))
    assert weights(merged) == weights(model)


@pytest.mark.parametrize("build", [sequential, base_and_head], ids=lambda build: build.__name__)
def test_a_compiled_source_stays_compiled_and_its_copies_are_not(build):
    model = make(build)
    for inner in [x for x in model.layers if isinstance(x, keras.Model)]:
        inner.compile("adam", "mse")
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    inputs, targets = make_inputs(model), np.ones((2, 2))
    model.fit(inputs, targets, verbose=0)
    optimizer, state = model.optimizer, [v.numpy().tobytes() for v in model.optimizer.variables]
    partial = kerasft.make_partially_trainable(model, MODELS[build])
    assert model.compiled
    assert model.optimizer is optimizer
    assert [v.numpy().tobytes() for v in optimizer.variables] == state
    assert not any(x.compiled for x in (partial, *partial.layers) if isinstance(x, keras.Model))

    partial.compile("adam", "mse")
    merged = kerasft.merge(partial)
    assert partial.compiled
    assert not merged.compiled
    model.fit(inputs, targets, verbose=0)


class Sum(keras.layers.Layer):
    """Of what there is."""

    def call(self, inputs):
        dense = [keras.ops.convert_to_tensor(x, sparse=False) for x in inputs if x is not None]
        return sum(map(keras.ops.mean, dense))


@pytest.mark.parametrize("option", ["optional", "sparse"])
def test_an_input_keeps_what_it_may_be(option):
    if (option, keras.backend.backend()) == ("sparse", "torch"):
        pytest.skip("Keras has no sparse tensors on PyTorch")
    image = keras.Input((6, 6, 3), name="image")
    more = keras.Input((3,), name="more", **{option: True})
    unused = keras.Input((2,), name="unused")
    maps = keras.layers.Conv2D(2, 3, name="a")(image)
    model = keras.Model([image, more, unused], Sum()([maps, more]))
    partial = kerasft.make_partially_trainable(model, {"a": [0]})
    for copy in (partial, kerasft.merge(partial)):
        for name in ("image", "more", "unused"):
            assert copy.get_layer(name).get_config() == model.get_layer(name).get_config()
        if option == "optional":
            # Not `predict`, which puts batches together: there is one number for all images.
            copy([np.ones((2, 6, 6, 3)), None, np.ones((2, 2))])


def test_a_refused_source_stays_compiled():
    model = make(sequential)
    model.compile("adam", "mse")
    model.get_layer("b").enable_lora(2)
    with pytest.raises(ValueError, match="without LoRA"):
        kerasft.make_partially_trainable(model, {"b": [0]})
    assert model.compiled


def test_a_model_is_converted_again_after_the_merge():
    model = make(sequential)
    merged = kerasft.merge(kerasft.make_partially_trainable(model, {"a": [0]}))
    again = kerasft.make_partially_trainable(merged, {"b": [1]})
    assert weights(kerasft.merge(again)) == weights(model)


@pytest.mark.parametrize("frozen", [False, True])
def test_layers_partially_trainable_before_train_on_unless_they_are_frozen(frozen):
    once = kerasft.make_partially_trainable(make(sequential), {"a": [0]})
    if frozen:
        once.get_layer("a").trainable = False
    twice = kerasft.make_partially_trainable(once, {"b": [1]})
    trained = {
        path
        for path, layer in all_layers(twice)
        if layer.trainable_weights and not isinstance(layer, keras.Model)
    }
    assert trained == ({"b"} if frozen else {"a", "b"})
    named = kerasft.make_partially_trainable(once, {"b": [1]}, trainable=["a"])
    assert len(named.trainable_weights) == 2 + 1
    assert once.get_layer("a").trainable != frozen
