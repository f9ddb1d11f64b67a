"""Over several devices and processes: the ranking and the training of one device.

Devices are fixed before a backend starts, so each test runs programs of its own.
"""

import importlib.util
import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Made before devices are asked for: the same in every program.
COMMON = '''
import json, os
import keras, numpy as np
import kerasft

SELECTION = {"conv1": [1, 4], "conv2": [0, 3, 5]}
images, labels = kerasft.datasets.digits()
images, labels = images[:44].astype("float32"), labels[:44]
noisy = kerasft.additive_white_gaussian_noise(images, 40, seed=0)
data = (noisy[:32], labels[:32])


def make_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(6, 3, activation="selu", name="conv1"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Conv2D(7, 3, activation="selu", name="conv2"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, activation="softmax", name="head"),
        ]
    )


def rank(model):
    """A number of pairs that no number of devices divides."""
    ranking = kerasft.rank_filters(model, images[:43], noisy[:43], batch_size=5)
    return {
        name: [layer.order.tolist(), layer.borda_counts.tolist(), layer.pairs]
        for name, layer in ranking.items()
    }


def tune(model, selection=SELECTION, **options):
    """What changed, and how the training went."""
    tuned = kerasft.fine_tune(
        model, data, data, selection=selection, batch_size=16, epochs=3,
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9), verbose=0, **options,
    )
    moved = {}
    for layer in model.layers:
        for old, new in zip(layer.get_weights(), tuned.model.get_layer(layer.name).get_weights()):
            for index in range(old.shape[-1]):
                if old[..., index].tobytes() != new[..., index].tobytes():
                    moved.setdefault(layer.name, set()).add(index)
    return {
        "loss": tuned.history.history["loss"],
        "val_loss": tuned.history.history["val_loss"],
        "cached": list(tuned.cached_prefix),
        "moved": {name: sorted(indices) for name, indices in moved.items()},
        "weights": [float(np.abs(w).sum()) for w in tuned.model.get_weights()],
    }


def report(**found):
    print("REPORT" + json.dumps(found))
'''

ONE_DEVICE = """
model = make_model()
report(
    rank=rank(model),
    tune=tune(model),
    upper=tune(model, {"conv2": [2]}),
    callback=rank(kerasft.make_partially_trainable(model, SELECTION)),
)
"""

MIRRORED = """
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    model = make_model()
    inside = rank(model)
    tuned, upper = tune(model), tune(model, {"conv2": [2]})
    partial = kerasft.make_partially_trainable(model, SELECTION)
    partial.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
assert len(partial.trainable_weights[0].value.values) == 2, "not mirrored"
analyzer = kerasft.SusceptibilityAnalyzer(images[:43], noisy[:43], batch_size=5)
partial.fit(*data, batch_size=16, verbose=0, callbacks=[analyzer])
first = {
    name: [layer.order.tolist(), layer.borda_counts.tolist(), layer.pairs]
    for name, layer in analyzer.rankings[0].items()
}
# The model of two devices is ranked outside of the scope as well.
assert rank(model) == inside
report(rank=inside, tune=tuned, upper=upper, callback=first)
"""

WORKER = """
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    model = make_model()
    found = rank(model)
    # Nothing of kerasft in it.
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(16).with_options(options)
    try:
        model.fit(dataset, verbose=0)
        error = None
    except ValueError as caught:
        error = str(caught)
report(rank=found, error=error)
"""

WRITER = """
model = make_model()
partial = kerasft.make_partially_trainable(model, SELECTION)
partial.save("partial.keras")
kerasft.merge(partial).save_weights("merged.weights.h5")
kerasft.rank_filters(model, images, noisy).save("ranking.json")
report(outputs=model.predict(noisy[:4], verbose=0).tolist())
"""

READER = """
partial = keras.saving.load_model("partial.keras")
model = make_model()
model.set_weights([np.zeros_like(w) for w in model.get_weights()])
model.load_weights("merged.weights.h5")
saved, ranking = kerasft.FilterRanking.load("ranking.json"), kerasft.rank_filters(
    model, images, noisy
)
report(
    outputs=[each.predict(noisy[:4], verbose=0).tolist() for each in (partial, model)],
    trainable=[list(partial.get_layer(name).trainable_filters) for name in SELECTION],
    votes=[[r[name].borda_counts.tolist() for name in SELECTION] for r in (saved, ranking)],
)
"""

DATA_PARALLEL = """
devices = keras.distribution.list_devices("cpu")
assert len(devices) == 2, devices
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
model = make_model()
found, tuned, upper = rank(model), tune(model), tune(model, {"conv2": [2]})
partial = kerasft.make_partially_trainable(model, SELECTION)
assert len(partial.trainable_weights[0].value.sharding.device_set) == 2, "not distributed"
partial.compile("sgd", "sparse_categorical_crossentropy")
analyzer = kerasft.SusceptibilityAnalyzer(images[:43], noisy[:43], batch_size=5)
partial.fit(*data, batch_size=16, verbose=0, callbacks=[analyzer])
first = {
    name: [layer.order.tolist(), layer.borda_counts.tolist(), layer.pairs]
    for name, layer in analyzer.rankings[0].items()
}
report(rank=found, tune=tuned, upper=upper, callback=first)
"""


def start(program, folder=ROOT, **environment):
    # One thread each: the two processes of a strategy wait for one another.
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(
        [sys.executable, "-c", COMMON + program],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def finish(process):
    with process:
        output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-4000:]
    return json.loads(output.partition("REPORT")[2])


def run(program, folder=ROOT, **environment):
    return finish(start(program, folder, **environment))


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def assert_same_training(found, expected, moved, cached):
    assert found["moved"] == expected["moved"] == moved
    assert found["cached"] == expected["cached"] == cached
    for name in ("loss", "val_loss", "weights"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4), name
    # Trained at all, by more than what is tolerated.
    assert expected["loss"][2] != pytest.approx(expected["loss"][0], rel=1e-3)


SELECTION = {"conv1": [1, 4], "conv2": [0, 3, 5]}


def assert_same(found, expected):
    assert found["rank"] == expected["rank"] == found["callback"] == expected["callback"]
    assert_same_training(found["tune"], expected["tune"], SELECTION, [])
    assert_same_training(found["upper"], expected["upper"], {"conv2": [2]}, ["norm"])


@pytest.fixture(scope="module")
def one_device():
    return run(ONE_DEVICE, KERAS_BACKEND="tensorflow")


def test_mirrored_strategy_over_two_devices(one_device):
    assert_same(run(MIRRORED, KERAS_BACKEND="tensorflow"), one_device)


def test_multi_worker_mirrored_strategy_ranks_but_keras_cannot_train_under_it(one_device):
    ports = free_ports(2)
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    workers = [
        start(
            WORKER,
            KERAS_BACKEND="tensorflow",
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]
    try:
        found = [finish(worker) for worker in workers]
    finally:
        # One that fails leaves the other waiting.
        for worker in workers:
            worker.kill()
            worker.communicate()
    for each in found:
        assert each["rank"] == one_device["rank"]
        # Once Keras can, so should `fine_tune`, and the page is to say so.
        assert "unsupported type" in each["error"]
        assert "PerReplica" in each["error"]
    page = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    assert "`MultiWorkerMirroredStrategy` does not train with Keras 3" in page


jax_only = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None,
    reason="JAX is not installed; `make test-jax` has it",
)


@jax_only
@pytest.mark.parametrize(("writer", "reader"), [("tensorflow", "jax"), ("jax", "tensorflow")])
def test_files_of_one_backend_are_read_by_another(tmp_path, writer, reader):
    written = run(WRITER, tmp_path, KERAS_BACKEND=writer)
    read = run(READER, tmp_path, KERAS_BACKEND=reader)
    for outputs in read["outputs"]:
        for received, expected in zip(outputs, written["outputs"], strict=True):
            assert received == pytest.approx(expected, rel=1e-4)
    assert read["trainable"] == list(SELECTION.values())
    saved, ranked = read["votes"]
    assert saved == ranked


@jax_only
def test_data_parallel_over_two_devices_of_jax():
    two = "--xla_force_host_platform_device_count=2"
    one_device = run(ONE_DEVICE, KERAS_BACKEND="jax")
    assert_same(run(DATA_PARALLEL, KERAS_BACKEND="jax", XLA_FLAGS=two), one_device)
