"""Any Keras workflow trains the selected filters, and not one bit of anything else.

Optimizers' and regularizers' reach into one layer is in
`layers/test_partial_conv2d_training.py`; here whole models meet what people do with `fit`.
"""

import csv
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import optimizers

import kerasft
from kerasft import SusceptibilityAnalyzer, datasets

SELECTION = {"conv1": [1, 4], "conv2": [0, 3, 5]}
SHAPE = (8, 8, 1)
not_stateless = pytest.mark.not_on("jax", "a step is a stateless function there")
one_execution = pytest.mark.not_on("torch", "Keras takes one step per execution there")


def make_model(*first):
    # No ReLU, which could leave a selected filter without a gradient.
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            *first,
            keras.layers.Conv2D(6, 3, activation="selu", name="conv1"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Conv2D(7, 3, activation="selu", name="conv2"),
            keras.layers.Dropout(0.2, name="dropout"),
            keras.layers.GlobalAveragePooling2D(name="average"),
            keras.layers.Dense(3, activation="softmax", name="head"),
        ],
        name="small",
    )


@pytest.fixture(scope="module")
def source():
    return make_model(keras.layers.Rescaling(1 / 255))


@pytest.fixture(scope="module")
def data():
    images, labels = datasets.digits()
    return images[:40].astype("float32"), labels[:40] % 3


@pytest.fixture
def partial(source):
    keras.utils.set_random_seed(1)
    return kerasft.make_partially_trainable(source, SELECTION)


def moved_filters(source, tuned):
    """Filters of each layer that differ by a bit; every weight of it, if it is no convolution."""
    moved = {}
    for layer in source.layers:
        new_weights = tuned.get_layer(layer.name).get_weights()
        for old, new in zip(layer.get_weights(), new_weights, strict=True):
            assert old.dtype == new.dtype
            assert np.isfinite(new).all()
            for index in range(old.shape[-1]):
                if old[..., index].tobytes() != new[..., index].tobytes():
                    moved.setdefault(layer.name, set()).add(index)
    return {name: sorted(indices) for name, indices in moved.items()}


def assert_only_selected_moved(source, partial):
    merged = kerasft.merge(partial)
    assert moved_filters(source, merged) == SELECTION
    assert [type(layer) for layer in merged.layers] == [type(layer) for layer in source.layers]
    images = keras.ops.full((2, *SHAPE), 90.0)
    outputs = [
        keras.ops.convert_to_numpy(keras.ops.cast(model(images, training=False), "float32"))
        for model in (partial, merged)
    ]
    # XLA and graphs round differently.
    np.testing.assert_allclose(*outputs, rtol=1e-5)


def compile_and_fit(model, data, optimizer=None, *, epochs=1, batch_size=16, fit=(), **options):
    options = {"loss": "sparse_categorical_crossentropy", "jit_compile": False, **options}
    # A list, since a Keras optimizer is not false and not true.
    model.compile(optimizers.Adam(0.01) if optimizer is None else optimizer, **options)
    data = {"x": data[0], "y": data[1], "batch_size": batch_size} if is_pair(data) else {"x": data}
    return model.fit(**data, epochs=epochs, verbose=0, **dict(fit))


def is_pair(data):
    return isinstance(data, tuple) and len(data) == 2


# Optimizers: all that Keras has, so that one it gets later is tried too.

WRAPPED = {
    "LossScaleOptimizer": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01)),
    "MultiOptimizer": lambda: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.AdamW(0.01), {".*bias": optimizers.SGD(0.1)})
    ),
}
OPTIMIZERS = {
    name: WRAPPED.get(name, optimizer)
    for name, optimizer in sorted(vars(optimizers).items())
    if inspect.isclass(optimizer)
    and issubclass(optimizer, optimizers.Optimizer)
    and optimizer is not optimizers.Optimizer
}


def test_the_optimizers_of_keras_are_found():
    assert {"Adam", "SGD", "Lion", "Muon", "Adafactor", "Ftrl", *WRAPPED} <= set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_keras(source, partial, data, name):
    optimizer = OPTIMIZERS[name]()
    if name not in WRAPPED:
        # What reaches for all variables that an optimizer is given.
        optimizer.weight_decay = 0.1
    # Without tracing it takes a tenth of the time.
    compile_and_fit(partial, data, optimizer, run_eagerly=True)
    assert_only_selected_moved(source, partial)


# How a step runs.

STEPS = {
    "steps_per_execution": pytest.param({"steps_per_execution": 2}, {}, marks=one_execution),
    "jit_compile": pytest.param(
        {"jit_compile": True},
        {},
        marks=pytest.mark.not_on("torch", "torch.compile takes minutes for a step"),
    ),
    "run_eagerly": ({"run_eagerly": True}, {}),
    "accumulation": ({}, {"gradient_accumulation_steps": 3}),
    "accumulation and EMA": ({}, {"gradient_accumulation_steps": 2, "use_ema": True}),
    "accumulation over steps in one execution": pytest.param(
        {"steps_per_execution": 3}, {"gradient_accumulation_steps": 2}, marks=one_execution
    ),
}


@pytest.mark.parametrize(("options", "optimizer"), STEPS.values(), ids=STEPS)
def test_however_steps_run(source, partial, data, options, optimizer):
    compile_and_fit(partial, data, optimizers.AdamW(0.01, **optimizer), **options)
    assert_only_selected_moved(source, partial)


def test_accumulated_steps_are_one_step_of_the_whole_batch(data):
    # Without dropout and with whole batches both see one mean gradient.
    bare = make_model(keras.layers.Rescaling(1 / 255))
    bare.get_layer("dropout").rate = 0.0
    weights = []
    for batch_size, steps in ((40, None), (10, 4)):
        partial = kerasft.make_partially_trainable(bare, SELECTION)
        optimizer = optimizers.SGD(0.5, gradient_accumulation_steps=steps)
        compile_and_fit(partial, data, optimizer, batch_size=batch_size, fit={"shuffle": False})
        assert_only_selected_moved(bare, partial)
        weights.append(partial.get_weights())
    for whole, accumulated in zip(*weights, strict=True):
        np.testing.assert_allclose(whole, accumulated, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_of_a_whole_model(data, policy):
    keras.config.set_dtype_policy(policy)
    try:
        mixed = make_model(keras.layers.Rescaling(1 / 255))
    finally:
        keras.config.set_dtype_policy("float32")
    partial = kerasft.make_partially_trainable(mixed, SELECTION)
    assert partial.get_layer("conv2").compute_dtype == policy.removeprefix("mixed_")
    # Without it the loss is not scaled.
    assert partial.dtype_policy == kerasft.merge(partial).dtype_policy == mixed.dtype_policy
    steps = 1 if keras.backend.backend() == "torch" else 2
    history = compile_and_fit(partial, data, "adam", epochs=2, steps_per_execution=steps)
    scaled = isinstance(partial.optimizer, optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    assert np.isfinite(history.history["loss"]).all()
    assert_only_selected_moved(mixed, partial)
    tuned = kerasft.fine_tune(mixed, data, data, selection=SELECTION, epochs=1, verbose=0)
    assert moved_filters(mixed, tuned.model) == SELECTION
    fitted = tuned.history.model.optimizer
    assert isinstance(fitted, optimizers.LossScaleOptimizer) == scaled


def test_a_loss_scale_that_overflows_skips_the_step(source, partial, data):
    optimizer = optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=1e38)
    images = data[0][:16] * 1e4
    compile_and_fit(partial, (images, data[1][:16]), optimizer, loss=lambda y, p: 1e6 * p[:, 0])
    assert moved_filters(source, kerasft.merge(partial)) == {}
    assert float(optimizer.dynamic_scale) < 1e38


# Steps of one's own.


def apply_gradients(optimizer, weights, compute_loss):
    """One step on the loss that a function computes; gives the loss."""
    if keras.backend.backend() == "torch":
        import torch

        loss = compute_loss()
        gradients = torch.autograd.grad(loss, [weight.value for weight in weights])
        with torch.no_grad():
            optimizer.apply(gradients, weights)
        return loss
    with tf.GradientTape() as tape:
        loss = compute_loss()
    optimizer.apply(tape.gradient(loss, weights), weights)
    return loss


class OwnTrainStep:
    """Trains with a step of its own."""

    steps = 0

    def train_step(self, data):
        type(self).steps += 1
        images, labels = data
        outputs = None

        def compute_loss():
            nonlocal outputs
            outputs = self(images, training=True)
            return self.compute_loss(images, labels, outputs)

        loss = apply_gradients(self.optimizer, self.trainable_weights, compute_loss)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(labels, outputs)
        return {metric.name: metric.result() for metric in self.metrics}


class OwnStep(OwnTrainStep, keras.Model):
    """Made around tensors, as Keras's guides show."""


@not_stateless
def test_a_train_step_of_ones_own_around_inputs_and_outputs(source, partial, data):
    own = OwnStep(partial.inputs[0], partial.outputs[0])
    before = OwnStep.steps
    compile_and_fit(own, data)
    assert OwnStep.steps > before
    assert_only_selected_moved(source, partial)
    assert moved_filters(source, kerasft.merge(own)) == SELECTION


@not_stateless
def test_a_train_step_of_ones_own_around_the_model(source, partial, data):
    class Around(OwnTrainStep, keras.Model):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, images, training=None):
            return self.inner(images, training=training)

    compile_and_fit(Around(partial), data)
    assert Around.steps > 0
    assert_only_selected_moved(source, partial)


@not_stateless
def test_fine_tune_keeps_a_train_step_of_ones_own(source, data):
    own = OwnStep(source.inputs[0], source.outputs[0], name="own")
    before = OwnStep.steps
    tuned = kerasft.fine_tune(own, data, data, selection=SELECTION, epochs=1, verbose=0)
    assert OwnStep.steps > before
    assert type(tuned.model) is OwnStep
    assert moved_filters(source, tuned.model) == SELECTION


def test_a_loss_of_ones_own(source, partial, data):
    class OwnLoss(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return keras.ops.mean(keras.ops.square(keras.ops.one_hot(y, 3) - y_pred))

    history = compile_and_fit(OwnLoss(partial.inputs[0], partial.outputs[0]), data, loss=None)
    assert 0 < history.history["loss"][0] < 1
    assert_only_selected_moved(source, partial)


@not_stateless
def test_a_training_loop_of_ones_own(source, partial, data):
    optimizer = optimizers.AdamW(0.01, weight_decay=0.1)
    loss_of = keras.losses.SparseCategoricalCrossentropy()

    def step(images, labels):
        apply_gradients(
            optimizer,
            partial.trainable_weights,
            lambda: loss_of(labels, partial(images, training=True)),
        )

    if keras.backend.backend() == "tensorflow":
        step = tf.function(step)
    for _ in range(2):
        step(*data)
    assert_only_selected_moved(source, partial)


def test_train_on_batch(source, partial, data):
    partial.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    for _ in range(2):
        partial.train_on_batch(*data, class_weight={0: 1.0, 1: 5.0, 2: 0.5})
    assert_only_selected_moved(source, partial)


# Callbacks.


def test_callbacks_beside_the_analyzer(source, partial, data, tmp_path):
    analyzer = SusceptibilityAnalyzer(data[0], kerasft.GaussianBlur(1.0), layers=["conv1"])
    best, logged = tmp_path / "best.keras", tmp_path / "log.csv"
    callbacks = [
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        analyzer,
        keras.callbacks.ModelCheckpoint(best, monitor="emd_conv1", mode="min"),
        keras.callbacks.CSVLogger(logged),
        # Nothing gets better by 100%, so every epoch is a plateau.
        keras.callbacks.ReduceLROnPlateau("emd_conv1", mode="min", min_delta=1e9, patience=1),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.EarlyStopping("val_loss", restore_best_weights=True, patience=9),
    ]
    fit = {"callbacks": callbacks, "validation_data": data}
    history = compile_and_fit(partial, data, epochs=3, fit=fit).history
    assert len(analyzer.rankings) == 4
    with open(logged, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["emd_conv1"]) for row in rows] == pytest.approx(history["emd_conv1"])
    assert history["learning_rate"] == pytest.approx([0.01, 0.01, 0.001])
    assert_only_selected_moved(source, partial)
    assert_only_selected_moved(source, keras.saving.load_model(best))


def test_tensorboard_beside_the_analyzer(source, partial, data, tmp_path):
    pytest.importorskip("tensorboard", reason="the callback of Keras needs tensorboard")
    analyzer = SusceptibilityAnalyzer(data[0], kerasft.GaussianBlur(1.0), layers=["conv1"])
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False, histogram_freq=1)
    compile_and_fit(partial, data, fit={"callbacks": [analyzer, board]})
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("events*"))
    assert b"emd_conv1" in written
    assert_only_selected_moved(source, partial)


def test_a_fit_that_was_interrupted_is_resumed(data, tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    # Weight files of Keras do not hold how far dropout has drawn.
    bare = make_model(keras.layers.Rescaling(1 / 255))
    bare.get_layer("dropout").rate = 0.0

    def run(folder, *more):
        partial = kerasft.make_partially_trainable(bare, SELECTION)
        # Restored weights are to be ranked, so the backup stands first.
        analyzer = SusceptibilityAnalyzer(data[0], kerasft.GaussianBlur(1.0), layers=["conv1"])
        backup = keras.callbacks.BackupAndRestore(folder)
        fit = {"callbacks": [backup, analyzer, *more], "shuffle": False}
        history = compile_and_fit(partial, data, epochs=4, fit=fit)
        return partial, analyzer, history

    whole, in_one_go, _ = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "backup", Interrupt())
    partial, analyzer, history = run(tmp_path / "backup")
    assert history.epoch == [2, 3]
    assert len(analyzer.rankings) == 3
    means = [
        [ranking["conv1"].mean_distance for ranking in a.rankings] for a in (in_one_go, analyzer)
    ]
    np.testing.assert_allclose(means[0][2:], means[1], rtol=1e-4)
    for a, b in zip(whole.get_weights(), partial.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert_only_selected_moved(bare, partial)


def test_fine_tune_passes_callbacks_on(source, data, tmp_path):
    analyzer = SusceptibilityAnalyzer(data[0], kerasft.GaussianBlur(1.0), layers=["conv1"])
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    tuned = kerasft.fine_tune(
        source,
        data,
        data,
        selection=SELECTION,
        epochs=2,
        callbacks=[analyzer, checkpoint],
        monitor="emd_conv1",
        verbose=0,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.keras", "2.keras"]
    assert len(tuned.history.history["emd_conv1"]) == 2
    assert moved_filters(source, tuned.model) == SELECTION
    assert_only_selected_moved(source, keras.saving.load_model(tmp_path / "2.keras"))


# Randomness.


def test_the_same_seed_gives_the_same_bytes(source, data):
    def fit(seed):
        keras.utils.set_random_seed(seed)
        partial = kerasft.make_partially_trainable(source, SELECTION)
        compile_and_fit(partial, data, epochs=2)
        return [weight.tobytes() for weight in partial.get_weights()]

    def tune(seed):
        options = {"selection": SELECTION, "epochs": 2, "seed": seed, "verbose": 0}
        tuned = kerasft.fine_tune(source, data, data, **options)
        return [weight.tobytes() for weight in tuned.model.get_weights()]

    for run in (fit, tune):
        first, again, other = run(3), run(3), run(4)
        assert first == again
        assert first != other


# Data.


class Batches(keras.utils.PyDataset):
    def __init__(self, *parts, endless=False, **arguments):
        super().__init__(**arguments)
        self.parts, self.endless = parts, endless

    @property
    def num_batches(self):
        return None if self.endless else 3

    def __getitem__(self, index):
        return tuple(part[16 * index % 48 :][:16] for part in self.parts)


def as_tf(*parts):
    return tf.data.Dataset.from_tensor_slices(parts)


def as_loader(*parts):
    torch = pytest.importorskip("torch", reason="a DataLoader is PyTorch's")
    tensors = torch.utils.data.TensorDataset(*map(torch.as_tensor, parts))
    return torch.utils.data.DataLoader(tensors, batch_size=16, shuffle=True)


def one_hot(labels):
    return keras.utils.to_categorical(labels, 3)


def weights_of(labels):
    return np.linspace(0.1, 2, len(labels), dtype="float32")


CONTAINERS = {
    "arrays": lambda x, y: (x, y),
    "uint8 arrays": lambda x, y: (x.astype("uint8"), y.astype("uint8")),
    "a column of labels": lambda x, y: (x, y[:, None]),
    "lists of labels and weights": lambda x, y: (x, y.tolist(), weights_of(y).tolist()),
    "no sample weights": lambda x, y: (x, y, None),
    "one-hot": lambda x, y: (x, one_hot(y)),
    "sample weights": lambda x, y: (x, y, weights_of(y)),
    "tf.data": lambda x, y: as_tf(x, y).batch(16),
    "tf.data, shuffled, augmented": lambda x, y: (
        as_tf(x, y).shuffle(40).batch(16).map(lambda a, b: (a[:, ::-1], b)).prefetch(1)
    ),
    "tf.data, one-hot and sample weights": lambda x, y: as_tf(x, one_hot(y), weights_of(y)).batch(
        16
    ),
    "PyDataset": Batches,
    "PyDataset, workers and sample weights": lambda x, y: Batches(x, y, weights_of(y), workers=2),
    "DataLoader": as_loader,
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_fine_tune_takes_what_fit_takes(source, data, kind):
    train, validation = CONTAINERS[kind](*data), CONTAINERS[kind](*data)
    tuned = kerasft.fine_tune(
        source, train, validation, selection=SELECTION, epochs=1, batch_size=16, verbose=0
    )
    assert moved_filters(source, tuned.model) == SELECTION
    categorical = isinstance(tuned.history.model.loss, keras.losses.CategoricalCrossentropy)
    assert categorical == ("one-hot" in kind)


@pytest.mark.parametrize("kind", ["tf.data", "PyDataset"])
def test_an_endless_dataset_is_for_fit_with_a_number_of_steps(source, partial, data, kind):
    endless = as_tf(*data).batch(16).repeat() if kind == "tf.data" else Batches(*data, endless=True)
    for train, validation in ((endless, data), (data, endless)):
        with pytest.raises(ValueError, match=r"^Expected a dataset of images that ends\. Received"):
            kerasft.fine_tune(source, train, validation, selection=SELECTION)
    # Keras warns that it cannot shuffle it.
    fit = {"steps_per_epoch": 2, "shuffle": False}
    history = compile_and_fit(partial, endless, epochs=2, fit=fit)
    assert history.epoch == [0, 1]
    assert int(partial.optimizer.iterations) == 4
    assert_only_selected_moved(source, partial)


def test_a_dataset_that_is_not_batched_is_refused(source, data):
    with pytest.raises(ValueError, match=r"^Expected train to yield batches .* batch the dataset"):
        kerasft.fine_tune(source, as_tf(*data), data, selection=SELECTION)
    with pytest.raises(ValueError, match=r"^Expected validation to yield batches"):
        kerasft.fine_tune(source, data, as_tf(*data), selection=SELECTION)


def test_a_list_of_images_and_labels_is_refused_by_its_name(source, data):
    with pytest.raises(TypeError, match=r"^Expected train as a tuple .* Received: a list\.$"):
        kerasft.fine_tune(source, list(data), data, selection=SELECTION)


def test_a_generator_is_refused_since_a_second_epoch_needs_it_again(source, data):
    batches = (part for part in [data])
    with pytest.raises(TypeError, match=r"^Expected train as data that can be read more than once"):
        kerasft.fine_tune(source, batches, data, selection=SELECTION)


def test_images_in_folders(source, data, tmp_path):
    images = np.repeat(data[0], 3, axis=-1).astype("uint8")
    paths = [f"{label}/{index}.png" for index, label in enumerate(data[1])]
    datasets.save_image_folder(tmp_path, images, paths)
    options = {"color_mode": "grayscale", "image_size": SHAPE[:2], "batch_size": 16, "seed": 0}
    for label_mode in ("int", "categorical"):
        train, validation = keras.utils.image_dataset_from_directory(
            tmp_path,
            label_mode=label_mode,
            validation_split=0.3,
            subset="both",
            verbose=False,
            **options,
        )
        tuned = kerasft.fine_tune(
            source, train, validation, selection=SELECTION, epochs=1, verbose=0
        )
        assert moved_filters(source, tuned.model) == SELECTION
    folder = keras.utils.image_dataset_from_directory(
        tmp_path, labels=None, shuffle=False, verbose=False, **options
    )
    blur = kerasft.GaussianBlur(1.0)
    ordered = np.concatenate([keras.ops.convert_to_numpy(batch) for batch in folder])
    ranking = kerasft.rank_filters(source, folder, blur)
    expected = kerasft.rank_filters(source, ordered, blur)
    for name in expected:
        assert ranking[name].borda_counts.tolist() == expected[name].borda_counts.tolist()


def test_pixels_are_scaled_inside_the_model_or_outside(source, data):
    images, scaled = data[0], (data[0] / 255, data[1])
    bare = make_model()
    bare.set_weights(source.get_weights())
    noise = kerasft.AdditiveWhiteGaussianNoise(25, seed=0)
    small_noise = kerasft.AdditiveWhiteGaussianNoise(25 / 255, seed=0, value_range=(0, 1))
    inside = kerasft.rank_filters(source, images, noise)
    outside = kerasft.rank_filters(bare, scaled[0], small_noise)
    assert inside.select() == outside.select()
    tuned = [
        kerasft.fine_tune(model, train, train, ranking=ranking, epochs=2, verbose=0)
        for model, train, ranking in ((source, data, inside), (bare, scaled, outside))
    ]
    assert moved_filters(source, tuned[0].model) == inside.select()
    for a, b in zip(*(each.model.get_weights() for each in tuned), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
