"""PartiallyTrainableConv1D and 3D are to Conv1D and Conv3D what the 2D layer is to Conv2D."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from differentiation import differentiate

import kerasft
from kerasft import PartiallyTrainableConv1D, PartiallyTrainableConv2D, PartiallyTrainableConv3D

FILTERS = 6
SIGNAL, VOLUME = (9, 4), (5, 4, 6, 4)
LAYERS = {
    "1D": (PartiallyTrainableConv1D, SIGNAL, {"kernel_size": 3}),
    "1D causal": (PartiallyTrainableConv1D, SIGNAL, {"kernel_size": 3, "padding": "causal"}),
    "1D causal, dilated": (
        PartiallyTrainableConv1D,
        SIGNAL,
        {"kernel_size": 2, "padding": "causal", "dilation_rate": 3, "activation": "elu"},
    ),
    "1D causal, strides": (
        PartiallyTrainableConv1D,
        SIGNAL,
        {"kernel_size": 3, "padding": "causal", "strides": 2, "use_bias": False},
    ),
    "1D same, strides": (
        PartiallyTrainableConv1D,
        SIGNAL,
        {"kernel_size": 4, "padding": "same", "strides": 2},
    ),
    "1D groups": (PartiallyTrainableConv1D, SIGNAL, {"kernel_size": 3, "groups": 2}),
    "1D channels first": (
        PartiallyTrainableConv1D,
        SIGNAL,
        {"kernel_size": 3, "padding": "causal", "data_format": "channels_first"},
    ),
    "3D": (PartiallyTrainableConv3D, VOLUME, {"kernel_size": 2}),
    "3D uneven": (
        PartiallyTrainableConv3D,
        VOLUME,
        {"kernel_size": (1, 2, 3), "strides": (2, 1, 2), "padding": "same", "activation": "relu"},
    ),
    "3D dilated, no bias": (
        PartiallyTrainableConv3D,
        VOLUME,
        {"kernel_size": 2, "dilation_rate": (2, 1, 2), "use_bias": False},
    ),
    "3D groups": (PartiallyTrainableConv3D, VOLUME, {"kernel_size": 2, "groups": 2}),
}
SELECTIONS = {"some": [4, 1], "none": [], "all": range(FILTERS)}
layers = pytest.mark.parametrize(
    ("partial_class", "shape", "arguments"), LAYERS.values(), ids=LAYERS
)


def make_pair(partial_class, shape, arguments, filters):
    """A plain layer with random weights, its partially trainable copy and an input."""
    conv = partial_class.conv_class(
        FILTERS, name="edges", bias_initializer=keras.initializers.RandomNormal(seed=2), **arguments
    )
    inputs = np.random.default_rng(1).normal(size=(2, *shape)).astype("float32")
    if conv.data_format == "channels_first":
        inputs = np.moveaxis(inputs, -1, 1)
    inputs = keras.ops.convert_to_tensor(inputs)
    try:
        conv(inputs)
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
        pytest.skip(f"TensorFlow has no such convolution on this device: {error.message[:80]}")
    return conv, partial_class.from_conv(conv, filters), inputs


@layers
@pytest.mark.parametrize("filters", SELECTIONS.values(), ids=SELECTIONS)
def test_output_and_gradients_are_those_of_the_plain_layer(
    partial_class, shape, arguments, filters
):
    conv, layer, inputs = make_pair(partial_class, shape, arguments, filters)
    outputs, input_gradient, gradients = differentiate(conv, inputs)
    same_outputs, same_input_gradient, same_gradients = differentiate(layer, inputs)
    np.testing.assert_allclose(same_outputs, outputs, atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(same_input_gradient, input_gradient, atol=1e-5, rtol=1e-5)
    assert list(same_gradients) == (list(gradients) if len(filters) else [])
    for name, gradient in same_gradients.items():
        wanted = gradients[name][..., sorted(filters)]
        np.testing.assert_allclose(gradient, wanted, atol=2e-5, rtol=1e-5)


@layers
@pytest.mark.parametrize("filters", SELECTIONS.values(), ids=SELECTIONS)
def test_there_and_back_keeps_configuration_and_weights(partial_class, shape, arguments, filters):
    conv, layer, inputs = make_pair(partial_class, shape, arguments, filters)
    assert type(layer) is partial_class
    assert layer.compute_output_shape(inputs.shape) == conv.compute_output_shape(inputs.shape)
    config = json.loads(json.dumps(layer.get_config()))
    assert partial_class.from_config(config).get_config() == layer.get_config()
    back = layer.to_conv()
    assert type(back) is partial_class.conv_class
    assert back.get_config() == conv.get_config()
    assert [w.tobytes() for w in back.get_weights()] == [w.tobytes() for w in conv.get_weights()]


@pytest.mark.parametrize(
    ("partial_class", "shape"),
    [(PartiallyTrainableConv1D, SIGNAL), (PartiallyTrainableConv3D, VOLUME)],
)
def test_a_model_is_converted_trained_saved_and_merged(tmp_path, partial_class, shape):
    keras.utils.set_random_seed(0)
    plain = partial_class.conv_class
    model = keras.Sequential(
        [
            keras.Input(shape),
            plain(FILTERS, 2, activation="relu", name="first"),
            keras.layers.BatchNormalization(),
            plain(4, 2, padding="same", use_bias=False, name="second"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, name="head"),
        ]
    )
    inputs = np.random.default_rng(0).normal(size=(8, *shape)).astype("float32")
    partial = kerasft.make_partially_trainable(model, {"first": [1, 4], "second": [0]})
    np.testing.assert_array_equal(
        *(keras.ops.convert_to_numpy(each(inputs)) for each in (partial, model))
    )
    assert [tuple(w.shape)[-1] for w in partial.trainable_weights] == [2, 2, 1]
    partial.compile(keras.optimizers.AdamW(0.05, weight_decay=0.3, use_ema=True), "mse")
    partial.fit(inputs, np.ones((8, 2)), batch_size=4, epochs=2, verbose=0)

    partial.save(tmp_path / "partial.keras")
    again = keras.models.load_model(tmp_path / "partial.keras")
    assert type(again.get_layer("first")) is partial_class
    again.fit(inputs, np.ones((8, 2)), epochs=1, verbose=0)

    for trained in (partial, again):
        merged = kerasft.merge(trained)
        # Keras's own JSON, since it reads tuples back as lists.
        assert merged.to_json() == model.to_json()
        for index, (old, new) in enumerate(
            zip(model.get_weights(), merged.get_weights(), strict=True)
        ):
            # The kernel and bias of `first`; the kernel of `second`.
            chosen = {0: [1, 4], 1: [1, 4], 6: [0]}.get(index, [])
            moved = {i for i in range(old.shape[-1]) if (old[..., i] != new[..., i]).any()}
            assert moved == set(chosen)
            frozen = [i for i in range(old.shape[-1]) if i not in chosen]
            assert old[..., frozen].tobytes() == new[..., frozen].tobytes()


@pytest.mark.parametrize(
    ("partial_class", "conv", "name"),
    [
        (PartiallyTrainableConv1D, keras.layers.Conv2D(2, 1), "Conv1D"),
        (PartiallyTrainableConv3D, keras.layers.Conv1D(2, 1), "Conv3D"),
        (PartiallyTrainableConv2D, keras.layers.Conv3D(2, 1), "Conv2D"),
        (PartiallyTrainableConv1D, PartiallyTrainableConv1D(2, 1, [0]), "Conv1D"),
    ],
)
def test_a_layer_of_another_kind_is_refused(partial_class, conv, name):
    with pytest.raises(TypeError, match=rf"^Expected a keras\.layers\.{name}\. Received: layer "):
        partial_class.from_conv(conv, [0])


@pytest.mark.parametrize("partial_class", [PartiallyTrainableConv1D, PartiallyTrainableConv3D])
def test_lora_and_bad_filters_are_refused(partial_class):
    with pytest.raises(ValueError, match=rf"Expected a {partial_class.__name__} without LoRA"):
        partial_class(6, 2, [1], lora_rank=2)
    with pytest.raises(ValueError, match=r"^Expected filter indices from 0 to 5\. Received: 6\.$"):
        partial_class(6, 2, [6])
    plain = partial_class.conv_class.__name__
    layer = partial_class(6, 2, [1])
    with pytest.raises(ValueError, match=rf"Expected a plain {plain} to enable .* merge"):
        layer.enable_lora(2)


@pytest.mark.parametrize("partial_class", [PartiallyTrainableConv1D, PartiallyTrainableConv3D])
def test_keras_finds_the_layer_by_its_registered_name(partial_class):
    described = json.loads(
        json.dumps(keras.saving.serialize_keras_object(partial_class(6, 2, [4])))
    )
    assert described["registered_name"] == f"kerasft>{partial_class.__name__}"
    assert type(keras.saving.deserialize_keras_object(described)) is partial_class
