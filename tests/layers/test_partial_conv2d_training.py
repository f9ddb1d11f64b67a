"""Frozen filters of PartiallyTrainableConv2D do not move by one bit, whatever trains."""

import keras
import numpy as np
import pytest
from keras import optimizers

from kerasft import PartiallyTrainableConv2D

FILTERS = 6
CHOSEN = (1, 4)
FROZEN = [0, 2, 3, 5]
COMPILED = pytest.param(
    {"jit_compile": True},
    marks=pytest.mark.not_on("torch", "torch.compile takes minutes for a step"),
    id="jit_compile",
)


def make_model(**arguments):
    keras.utils.set_random_seed(0)
    layer = PartiallyTrainableConv2D(
        FILTERS,
        3,
        trainable_filters=CHOSEN,
        bias_initializer=keras.initializers.RandomNormal(stddev=0.5),
        **arguments,
    )
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layer,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax", trainable=False, dtype="float32"),
        ]
    )


def train(model, optimizer="adam", epochs=2, **compile_arguments):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(12, 6, 6, 2)).astype("float32")
    labels = rng.integers(0, 3, 12)
    model.compile(optimizer, "sparse_categorical_crossentropy", **compile_arguments)
    return model.fit(images, labels, batch_size=4, epochs=epochs, verbose=0)


def weights_of(layer):
    parts = [layer.kernel] if layer.bias is None else [layer.kernel, layer.bias]
    return [keras.ops.convert_to_numpy(part) for part in parts]


def assert_only_chosen_moved(before, layer):
    for old, new in zip(before, weights_of(layer), strict=True):
        assert new[..., FROZEN].tobytes() == old[..., FROZEN].tobytes()
        for index in CHOSEN:
            assert np.any(new[..., index] != old[..., index])


L2 = keras.regularizers.L2(0.1)
CASES = {
    "Adam": (lambda: optimizers.Adam(0.05), {}),
    "AdamW": (lambda: optimizers.AdamW(0.05, weight_decay=0.3), {}),
    "SGD": (lambda: optimizers.SGD(0.1), {}),
    "SGD Nesterov": (lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True), {}),
    "SGD decay": (lambda: optimizers.SGD(0.1, weight_decay=0.1), {}),
    "RMSprop": (lambda: optimizers.RMSprop(0.05, momentum=0.9, centered=True), {}),
    "EMA": (lambda: optimizers.Adam(0.05, use_ema=True, ema_momentum=0.5), {}),
    "EMA overwrite": (
        lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
        {},
    ),
    "clipnorm": (lambda: optimizers.Adam(0.05, clipnorm=0.01), {}),
    "clipvalue": (lambda: optimizers.SGD(0.1, clipvalue=0.001), {}),
    "global clipnorm": (lambda: optimizers.SGD(0.1, global_clipnorm=0.01), {}),
    "accumulation": (lambda: optimizers.Adam(0.05, gradient_accumulation_steps=2), {}),
    "regularizers": (
        lambda: optimizers.Adam(0.05),
        {"kernel_regularizer": L2, "bias_regularizer": L2, "activity_regularizer": L2},
    ),
    "MaxNorm": (
        lambda: optimizers.Adam(0.05),
        {"kernel_constraint": keras.constraints.MaxNorm(0.01, axis=(0, 1, 2))},
    ),
    "NonNeg": (
        lambda: optimizers.SGD(0.1),
        {"kernel_constraint": "non_neg", "bias_constraint": "non_neg"},
    ),
    "UnitNorm": (lambda: optimizers.SGD(0.1), {"kernel_constraint": "unit_norm"}),
    "no bias": (lambda: optimizers.AdamW(0.05, weight_decay=0.3), {"use_bias": False}),
    "groups": (lambda: optimizers.Adam(0.05), {"groups": 2}),
}


@pytest.mark.parametrize(("make_optimizer", "arguments"), CASES.values(), ids=CASES)
def test_frozen_filters_are_byte_identical_after_training(make_optimizer, arguments):
    model = make_model(**arguments)
    before = weights_of(model.layers[0])
    # An odd number of steps, since clipped ones of one size may cancel.
    train(model, make_optimizer(), epochs=3)
    assert_only_chosen_moved(before, model.layers[0])


@pytest.mark.parametrize("options", [{"run_eagerly": True}, COMPILED], ids=str)
@pytest.mark.parametrize("arguments", [{}, {"groups": 2}, {"use_bias": False}], ids=str)
def test_frozen_filters_are_byte_identical_however_the_step_runs(options, arguments):
    model = make_model(**arguments)
    before = weights_of(model.layers[0])
    train(model, optimizers.Adam(0.05), **options)
    assert_only_chosen_moved(before, model.layers[0])


@pytest.fixture
def policy(request):
    saved = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(saved)


@pytest.mark.parametrize("options", [{}, COMPILED], ids=str)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"], indirect=True)
def test_frozen_filters_are_byte_identical_in_mixed_precision(policy, options):
    model = make_model()
    layer = model.layers[0]
    assert layer.compute_dtype == policy.removeprefix("mixed_")
    before = weights_of(layer)
    assert all(part.dtype == "float32" for part in before)
    history = train(model, optimizers.Adam(0.05), **options)
    scaled = isinstance(model.optimizer, optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    assert np.isfinite(history.history["loss"]).all()
    assert_only_chosen_moved(before, layer)


@pytest.mark.not_on("jax", "weights are out of reach while an epoch runs")
def test_training_follows_conv2d_whose_other_filters_are_put_back():
    model = make_model(activation="relu")
    twin = keras.Sequential(
        [keras.Input((6, 6, 2)), model.layers[0].to_conv2d(), *model.layers[1:]]
    )
    conv = twin.layers[0]
    before = weights_of(conv)

    class PutBack(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            for variable, old in zip((conv.kernel, conv.bias), before, strict=True):
                values = np.array(keras.ops.convert_to_numpy(variable))
                values[..., FROZEN] = old[..., FROZEN]
                variable.assign(values)

    rng = np.random.default_rng(5)
    images = rng.normal(size=(12, 6, 6, 2)).astype("float32")
    labels = rng.integers(0, 3, 12)
    for each, callbacks in ((model, []), (twin, [PutBack()])):
        each.compile(optimizers.SGD(0.2, momentum=0.9), "sparse_categorical_crossentropy")
        each.fit(images, labels, 4, epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
    for mine, theirs in zip(weights_of(model.layers[0]), weights_of(conv), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_toggling_trainable_never_unfreezes_the_frozen_part():
    model = make_model()
    layer = model.layers[0]
    before = weights_of(layer)
    layer.trainable = False
    assert layer.trainable_weights == []
    if keras.backend.backend() != "jax":
        with pytest.warns(UserWarning, match="does not have any trainable weights"):
            train(model)
    else:
        train(model)
    assert [part.tobytes() for part in weights_of(layer)] == [part.tobytes() for part in before]

    layer.trainable = True
    assert [tuple(w.shape) for w in layer.trainable_weights] == [(3, 3, 2, 2), (2,)]
    train(model, optimizers.AdamW(0.05, weight_decay=0.3))
    assert_only_chosen_moved(before, layer)

    model.trainable = False
    model.trainable = True
    assert [w.path for w in layer.trainable_weights] == [
        f"{layer.path}/kernel",
        f"{layer.path}/bias",
    ]


@pytest.mark.parametrize(
    ("make_optimizer", "slots"),
    [
        (lambda: optimizers.Adam(), 2),
        (lambda: optimizers.Adam(amsgrad=True, use_ema=True), 4),
        (lambda: optimizers.SGD(), 0),
        (lambda: optimizers.SGD(momentum=0.9), 1),
        (lambda: optimizers.RMSprop(), 1),
    ],
)
def test_optimizer_state_is_allocated_for_the_slices_alone(make_optimizer, slots):
    model = make_model()
    optimizer = make_optimizer()
    train(model, optimizer, epochs=1)
    shapes = sorted(tuple(v.shape) for v in optimizer.variables if len(v.shape))
    assert shapes == sorted([(3, 3, 2, 2), (2,)] * slots)


def test_a_regularizer_penalises_the_trainable_slices_alone():
    layer = make_model(kernel_regularizer=L2, bias_regularizer=L2).layers[0]
    kernel, bias = weights_of(layer)
    expected = [0.1 * (part[..., CHOSEN] ** 2).sum() for part in (kernel, bias)]
    np.testing.assert_allclose(
        sorted(map(keras.ops.convert_to_numpy, layer.losses)), sorted(expected), rtol=1e-5
    )


def test_a_constraint_projects_the_trainable_slices_alone():
    model = make_model(kernel_constraint="non_neg")
    train(model)
    (kernel, _) = weights_of(model.layers[0])
    assert (kernel[..., CHOSEN] >= 0).all()
    assert (kernel[..., FROZEN] < 0).any()
