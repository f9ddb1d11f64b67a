"""Time and memory of exact exemplars against scikit-learn-extra and scikit-learn.

    python benchmarks/exemplars.py

Each measurement runs in a process of its own, which reports the seconds of the
search and the memory it took beyond the data; engines take turns and the median
of three turns is kept (one turn above 15,000 images, where none has a rival).
Rivals run up to the size that fits 4 GB; where both run, their indices are compared
first. Images are random patches of different brightness and contrast, 32×32×3;
binary maps have 98,304 bits (96 filters of 32×32).
"""

import warnings

import numpy as np
import pandas as pd
from measuring import Parser, call_measured, in_fresh_process, median_with_interval, write_table
from scaling_chart import write_chart

BITS = 98_304
OURS = "kerasft"
CASES = [
    # task, engine, numbers of images
    ("pixels, euclidean", OURS, (1000, 2000, 5000, 10_000, 15_000, 20_000, 40_000)),
    ("pixels, euclidean", "scikit-learn-extra", (1000, 2000, 5000, 10_000, 15_000)),
    ("bits, hamming", OURS, (250, 500, 1000, 2000, 5000, 10_000)),
    ("bits, hamming", "pairwise_distances", (250, 500, 1000)),
]


def main(arguments=None):
    parser = Parser(__doc__, "exemplars.csv")
    args = parser.parse_args(arguments)
    runs = []
    for turn in range(1 if args.quick else 3):
        # Every other turn backwards, so that no engine is always first.
        for task, engine, sizes in CASES[:: 1 if turn % 2 == 0 else -1]:
            for size in sizes[:1] if args.quick else sizes:
                if turn > 0 and size > 15_000:
                    continue
                row = {"turn": turn, "task": task, "engine": engine, "images": size}
                runs.append({**row, **in_fresh_process(measure, task, engine, size)})
                print(runs[-1], flush=True)
        check(pd.DataFrame(runs))
    table = summarise(pd.DataFrame(runs))
    write_table(table, args.out)
    write_chart(table, args.out.with_suffix(".svg"), panel="task", line="engine", x="images")


def check(runs):
    """All engines find the same exemplar."""
    for (task, size), group in runs.groupby(["task", "images"]):
        if group["index"].nunique() != 1:
            raise SystemExit(f"The engines differ for {task} at {size}: {group}")


def summarise(runs):
    """Medians over the turns, and how many times slower the rival is within turns."""
    rows = []
    for (task, engine, size), group in runs.groupby(["task", "engine", "images"], sort=False):
        row = {
            "task": task,
            "engine": engine,
            "images": size,
            "seconds": group["seconds"].median(),
            "peak_mib": group["peak_mib"].median(),
            "index": group["index"].iloc[0],
            "turns": len(group),
        }
        both = runs[(runs["task"] == task) & (runs["images"] == size)]
        seconds = both.pivot(index="turn", columns="engine", values="seconds")
        rivals = seconds.drop(columns=OURS)
        if engine == OURS and rivals.shape[1] == 1:
            ratio = median_with_interval(rivals.iloc[:, 0] / seconds[OURS])
            numbers = (round(number, 2) for number in ratio)
            row |= dict(zip(("times_faster", "low", "high"), numbers, strict=True))
        rows.append(row)
    return pd.DataFrame(rows).sort_values(
        ["task", "engine", "images"], ascending=[False, True, True]
    )


def measure(task, engine, size):
    """Seconds, MiB beyond the data, and the index found."""
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
    index, seconds, mib = call_measured(lambda: find(data))
    return {"seconds": round(seconds, 3), "peak_mib": round(mib, 1), "index": int(index)}


def _engine(engine, task):
    if engine == OURS:
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


if __name__ == "__main__":
    main()
