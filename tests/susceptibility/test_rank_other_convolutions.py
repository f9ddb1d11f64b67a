"""Every convolution of Keras has feature maps; those that are no Conv2D are ranked when named."""

import keras
import numpy as np
import pytest
from keras import layers

import kerasft

KINDS = {
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, name="conv"), 6),
    "separable": (lambda: layers.SeparableConv2D(5, 3, activation="relu", name="conv"), 5),
    "transposed": (lambda: layers.Conv2DTranspose(4, 3, strides=2, name="conv"), 4),
    "depthwise, channels first": (
        lambda: layers.DepthwiseConv2D(3, data_format="channels_first", name="conv"),
        3,
    ),
}
OTHER_RANKS = {
    "1D": (lambda: layers.Conv1D(5, 3, name="conv"), (12, 3), 5),
    "1D depthwise": (lambda: layers.DepthwiseConv1D(3, name="conv"), (12, 3), 3),
    "1D separable": (lambda: layers.SeparableConv1D(4, 3, name="conv"), (12, 3), 4),
    "1D transposed": (lambda: layers.Conv1DTranspose(4, 3, name="conv"), (12, 3), 4),
    "3D": (lambda: layers.Conv3D(5, 2, name="conv"), (4, 5, 6, 2), 5),
    "3D transposed": (lambda: layers.Conv3DTranspose(3, 2, name="conv"), (4, 5, 6, 2), 3),
}


def check(make_conv, images, disturbed, filters, slow_ranking):
    keras.utils.set_random_seed(0)
    conv = make_conv()
    image = keras.Input(images.shape[1:])
    maps = conv(image)
    model = keras.Model(image, layers.BatchNormalization(name="norm")(maps))
    model.get_layer("norm").set_weights([np.full(w.shape, 0.7) for w in model.layers[-1].weights])
    outputs = [keras.Model(image, maps).predict(x, verbose=0) for x in (images, disturbed)]
    if conv.data_format == "channels_first":
        outputs = [np.moveaxis(x, 1, -1) for x in outputs]
    order, points, distances = slow_ranking(*outputs)
    result = kerasft.rank_filters(model, images, disturbed, layers=["conv"], batch_size=4)["conv"]
    assert len(result.order) == filters
    assert (result.order.tolist(), result.borda_counts.tolist()) == (order, points)
    np.testing.assert_allclose(result.mean_distance, distances.mean(axis=0), rtol=1e-4)


@pytest.mark.parametrize(("make_conv", "filters"), KINDS.values(), ids=KINDS)
def test_a_convolution_that_is_no_conv2d_is_ranked_by_name(
    make_conv, filters, clean, distorted, slow_ranking
):
    if make_conv().data_format == "channels_first":
        clean, distorted = (x.transpose(0, 3, 1, 2) for x in (clean, distorted))
    try:
        make_conv()(clean[:1])
    except Exception as error:
        pytest.skip(f"TensorFlow has no such convolution on this device: {str(error)[:80]}")
    check(make_conv, clean, distorted, filters, slow_ranking)


@pytest.mark.parametrize(("make_conv", "shape", "filters"), OTHER_RANKS.values(), ids=OTHER_RANKS)
def test_signals_and_volumes_are_ranked(make_conv, shape, filters, slow_ranking):
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(7, *shape)).astype("float32")
    distorted = clean + rng.normal(0, 0.3, clean.shape).astype("float32")
    check(make_conv, clean, distorted, filters, slow_ranking)


@pytest.fixture(scope="module")
def mixed():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="plain"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.SeparableConv2D(5, 3, name="separable"),
            layers.Conv2DTranspose(4, 3, name="transposed"),
        ]
    )


def test_unless_named_only_conv2d_is_ranked(mixed, clean, distorted):
    assert list(kerasft.rank_filters(mixed, clean, distorted)) == ["plain"]
    names = ["transposed", "plain", "depthwise"]
    assert list(kerasft.rank_filters(mixed, clean, distorted, layers=names)) == names


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("depthwise", "a DepthwiseConv2D, whose kernel is kept by input channel"),
        ("separable", "a SeparableConv2D, all of whose filters share one depthwise kernel"),
        ("transposed", "a Conv2DTranspose, whose kernel has its filters on another axis"),
    ],
)
def test_what_is_ranked_but_cannot_be_trained_by_filter_is_refused_with_the_way_out(
    mixed, clean, distorted, name, reason
):
    selection = kerasft.rank_filters(mixed, clean, distorted, layers=["plain", name]).select(0.25)
    message = (
        rf"^Expected a Conv1D, Conv2D or Conv3D layer\. Received: '{name}', {reason}.*; train all "
        rf"of it by trainable=\['{name}'\]\.$"
    )
    with pytest.raises(ValueError, match=message):
        kerasft.make_partially_trainable(mixed, selection)
    # The way out.
    del selection[name]
    partial = kerasft.make_partially_trainable(mixed, selection, trainable=[name])
    whole = partial.get_layer(name)
    assert len(partial.trainable_weights) == 2 + len(whole.weights)
    assert all(w.trainable for w in whole.weights)
    merged = kerasft.merge(partial)
    assert [w.tobytes() for w in merged.get_weights()] == [w.tobytes() for w in mixed.get_weights()]
