"""Time of one training step: selected filters against whole layers and the whole network.

    python benchmarks/training_step.py

All-Conv Net, batches of 64 images; the first three convolutions are tuned, a
quarter of their filters or all. The variants take turns within one run, and
each turn's times are divided by those of tuning the three layers whole; the
median ratio over the turns is reported. Before anything is timed, the weight
gradients of the partial model are compared with those of the whole layers.
"""

import argparse
import os
import pathlib
import platform
import time

import keras
import numpy as np
import pandas as pd

from kerasft.backend import default_jit_compile
from kerasft.files import write_whole
from kerasft.models import all_conv_net
from kerasft.surgery import make_partially_trainable

LAYERS = ("conv1", "conv2", "conv3")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default="docs/results/training_step.csv", type=pathlib.Path)
    parser.add_argument("--repeats", default=7, type=int)
    parser.add_argument("--steps", default=4, type=int, help="steps in each turn")
    args = parser.parse_args()

    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (64, 32, 32, 3)).astype("float32")
    labels = generator.integers(0, 10, 64)
    keras.utils.set_random_seed(0)
    source = all_conv_net(classes=10)
    quarter = {name: sorted(generator.permutation(96)[:24].tolist()) for name in LAYERS}
    variants = {
        "three layers whole": make_partially_trainable(source, dict.fromkeys(LAYERS, range(96))),
        "a quarter of their filters": make_partially_trainable(source, quarter),
        "whole network": keras.models.clone_model(source),
    }
    variants["whole network"].set_weights(source.get_weights())
    for model in variants.values():
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=default_jit_compile())
    _check(variants, quarter, images, labels)
    seconds = {name: [] for name in variants}
    for _ in range(args.repeats):
        for name, model in variants.items():
            start = time.perf_counter()
            for _ in range(args.steps):
                model.train_on_batch(images, labels)
            seconds[name].append((time.perf_counter() - start) / args.steps)
    base = np.asarray(seconds["three layers whole"])
    table = pd.DataFrame(
        {
            "variant": name,
            "ratio": round(float(np.median(np.asarray(times) / base)), 3),
            "seconds_per_step": round(float(np.median(times)), 4),
            "trained_parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
            "optimizer_values": sum(int(np.prod(v.shape)) for v in model.optimizer.variables),
            "repeats": args.repeats,
            "keras": keras.__version__,
            "backend": keras.backend.backend(),
            "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        }
        for (name, times), model in zip(seconds.items(), variants.values(), strict=True)
    )
    write_whole(args.out, table.to_csv(index=False).encode())
    print(table.to_string(index=False))


def _check(variants, quarter, images, labels):
    """One plain gradient step must move the selected filters as whole layers move them."""
    moved = {}
    for name in ("three layers whole", "a quarter of their filters"):
        model = keras.models.clone_model(variants[name])
        model.set_weights(variants[name].get_weights())
        model.compile(
            keras.optimizers.SGD(1.0),
            "sparse_categorical_crossentropy",
            jit_compile=default_jit_compile(),
        )
        before = [keras.ops.convert_to_numpy(model.get_layer(layer).kernel) for layer in LAYERS]
        model.train_on_batch(images, labels)
        after = [keras.ops.convert_to_numpy(model.get_layer(layer).kernel) for layer in LAYERS]
        moved[name] = [a - b for a, b in zip(after, before, strict=True)]
    for whole, part, filters in zip(*moved.values(), quarter.values(), strict=True):
        np.testing.assert_allclose(part[..., filters], whole[..., filters], rtol=1e-3, atol=1e-5)
        frozen = np.setdiff1d(np.arange(part.shape[-1]), filters)
        assert not part[..., frozen].any()
    for model in variants.values():
        model.train_on_batch(images, labels)


if __name__ == "__main__":
    main()
