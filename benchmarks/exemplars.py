"""Time and memory of exact exemplars against scikit-learn-extra and scikit-learn.

    python benchmarks/exemplars.py

Each measurement runs in a process of its own, which reports the seconds of the
search and the memory it took beyond the data; engines take turns and the median
of three turns is kept (one turn above 15,000 images, where none has a rival).
Rivals run up to the size that fits 4 GB; where both run, their indices are compared
first. Images are random patches of different brightness and contrast, 32×32×3;
binary maps have 98,304 bits (96 filters of 32×32).
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd

from kerasft.files import write_whole

BITS = 98_304
CASES = [
    # task, engine, numbers of images
    ("pixels, euclidean", "kerasft", (1000, 2000, 5000, 10_000, 15_000, 20_000, 40_000)),
    ("pixels, euclidean", "scikit-learn-extra", (1000, 2000, 5000, 10_000, 15_000)),
    ("bits, hamming", "kerasft", (250, 500, 1000, 2000, 5000, 10_000)),
    ("bits, hamming", "pairwise_distances", (250, 500, 1000)),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default="docs/results/exemplars.csv", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="the smallest sizes only")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        task, engine, size = args.measure
        print(json.dumps(measure(task, engine, int(size))))
        return
    runs = []
    for turn in range(1 if args.quick else 3):
        for task, engine, sizes in CASES:
            for size in sizes[:1] if args.quick else sizes:
                if turn > 0 and size > 15_000:
                    continue
                done = subprocess.run(
                    [sys.executable, __file__, "--measure", task, engine, str(size)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                row = {"task": task, "engine": engine, "images": size}
                runs.append({**row, **json.loads(done.stdout.splitlines()[-1])})
                print(runs[-1], flush=True)
    runs = pd.DataFrame(runs)
    for (task, size), group in runs.groupby(["task", "images"]):
        if group["index"].nunique() != 1:
            raise SystemExit(f"The engines differ for {task} at {size}: {group}")
    table = runs.groupby(["task", "engine", "images"], sort=False).median().reset_index()
    table["turns"] = runs.groupby(["task", "engine", "images"], sort=False).size().to_numpy()
    rival = table[table["engine"] != "kerasft"].set_index(["task", "images"])["seconds"]
    keys = pd.MultiIndex.from_frame(table[["task", "images"]])
    table["times_faster"] = (rival.reindex(keys).to_numpy() / table["seconds"]).round(2)
    table.loc[table["engine"] != "kerasft", "times_faster"] = np.nan
    write_whole(args.out, table.to_csv(index=False).encode())
    draw(table, args.out.with_suffix(".svg"))


def measure(task, engine, size):
    """Seconds, bytes beyond the data, and the index found."""
    generator = np.random.default_rng(0)
    if task == "pixels, euclidean":
        data = np.empty((size, 3072), "uint8")
        for i in range(size):
            coarse = generator.normal(
                generator.uniform(60, 200), generator.uniform(10, 60), (8, 8, 3)
            )
            patch = coarse.repeat(4, axis=0).repeat(4, axis=1)
            data[i] = np.clip(patch + generator.normal(0, 8, patch.shape), 0, 255).ravel()
    else:
        rates = generator.uniform(0.1, 0.9, size)
        data = np.empty((size, BITS // 8), "uint8")
        for i, rate in enumerate(rates):
            data[i] = np.packbits(generator.random(BITS) < rate)
    find = _engine(engine, task)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    index = find(data)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": round(seconds, 3),
        "peak_mib": round((peak - before) / 1024, 1),
        "index": int(index),
    }


def _engine(engine, task):
    if engine == "kerasft":
        from kerasft.medoids import euclidean_medoid, hamming_medoid

        if task == "bits, hamming":
            return hamming_medoid
        # With the default budget the rival itself serves up to 5,000 images.
        return euclidean_medoid
    if engine == "scikit-learn-extra":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from sklearn_extra.cluster import KMedoids
        return lambda data: KMedoids(n_clusters=1).fit(data.astype("float64")).medoid_indices_[0]
    from sklearn.metrics import pairwise_distances

    def by_pairs(packed):
        bits = np.unpackbits(packed, axis=1).astype(bool)
        return np.argmin(pairwise_distances(bits, metric="hamming").sum(axis=1))

    return by_pairs


def draw(table, path):
    """Time and memory against the number of images, log–log."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col")
    for column, (task, group) in enumerate(table.groupby("task")):
        for engine, rows in group.groupby("engine"):
            for row, value in enumerate(("seconds", "peak_mib")):
                axes[row, column].loglog(rows["images"], rows[value].clip(0.1), "o-", label=engine)
        axes[0, column].set_title(task)
        axes[1, column].set_xlabel("images")
        axes[0, column].legend()
    axes[0, 0].set_ylabel("seconds")
    axes[1, 0].set_ylabel("MiB beyond the data")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
