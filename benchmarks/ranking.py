"""Time of a ranking from images to filters: the paper's procedure, all pairs, enough pairs.

    python benchmarks/ranking.py --data cifar-10-python.tar.gz

All training images and their distorted versions rank the convolution filters of a
trained network, in three ways: the paper's procedure, with a call of SciPy for every
feature map; `kerasft.rank_filters`; and the same with `confidence=0.95`, which stops
when the top quarter of each layer is settled. Each is a process of its own, in turns;
images and network are loaded before the clock starts. The paper's procedure is too slow
for all pairs, so it is timed on a sample and its time multiplied up, which the columns
say; it does the same work for each pair. Before anything is timed, its ranking of a few
pairs is compared with ours. Which pairs come first is luck: the places that the early
stop shares with all pairs are counted over ten orders of the pairs in each turn, of
which the first is timed.

Without --data the images are the embedded digits and the network is trained on them.
"""

import pathlib
import tempfile
import time

import keras
import numpy as np
import pandas as pd
from measuring import (
    RESULTS,
    Parser,
    call_measured,
    in_fresh_process,
    median_with_interval,
    rotated,
    write_table,
)
from paper_ranking import rank_as_in_the_paper

import kerasft
from kerasft.datasets import ImageDataset, stratified_split
from kerasft.experiments import Baseline, ImageStore, train_baseline
from kerasft.experiments.baseline import TUNED_LAYERS

LAYERS = TUNED_LAYERS["cifar10_cnn"]
PAPER, FULL, CONFIDENT = "the paper's procedure", "rank_filters", "rank_filters, confidence=0.95"
DISTORTIONS = ("blur:1", "awgn:15")


def main(arguments=None):
    parser = Parser(__doc__, "bench-ranking.csv")
    parser.add_argument("--data", help="CIFAR-10: an archive, or folders train, test")
    networks = sorted((RESULTS / "baselines").glob("cifar10_cnn-*.keras"))
    parser.add_argument(
        "--network",
        default=networks[0] if networks else None,
        type=pathlib.Path,
        help="cifar10_cnn trained on --data. Default: the committed one.",
    )
    parser.add_argument("--sample", default=200, type=int, help="pairs for the paper's procedure")
    parser.add_argument("--turns", default=3, type=int)
    args = parser.parse_args(arguments)
    if args.data and args.network is None:
        parser.error("Expected --network, a cifar10_cnn trained on --data. Received: none.")
    distortions = DISTORTIONS[:1] if args.quick else DISTORTIONS
    sample, orders, turns = (16, 1, 1) if args.quick else (args.sample, 10, args.turns)
    with tempfile.TemporaryDirectory() as folder:
        if args.data and not args.quick:
            store = ImageStore.create(kerasft.datasets.cifar10(args.data), folder)
            network = args.network
        else:
            store = ImageStore.create(digits(), folder)
            epochs = 2 if args.quick else 20
            network = train_baseline(Baseline("cifar10_cnn", epochs=epochs), store, folder)
        some = pairs(store.folder, "blur:1", order=0, count=24)
        check(keras.saving.load_model(network, compile=False), *some)
        runs = []
        for turn in range(turns):
            for distortion in distortions:
                for method in rotated([PAPER, FULL, CONFIDENT], turn):
                    row = {"turn": turn, "distortion": distortion, "method": method}
                    print(row, flush=True)
                    request = (method, distortion, store.folder, str(network), sample)
                    seeds = [turn * orders + number for number in range(orders)]
                    runs.append({**row, **in_fresh_process(measure, *request, seeds)})
        total = len(store.training_rows())
    data = "CIFAR-10" if args.data and not args.quick else "digits"
    write_table(summarise(pd.DataFrame(runs), total, data), args.out)


def digits():
    """The embedded digits, as the experiments split them."""
    images, labels = kerasft.datasets.digits()
    train, test = stratified_split(labels, 597, seed=0)
    names = tuple(map(str, range(10)))
    return ImageDataset(images[train], labels[train], images[test], labels[test], names)


def pairs(folder, distortion, order, count=None):
    """Clean and distorted training images in a random order, the first `count` or all.

    Noise belongs to the image, whatever the order.
    """
    store = ImageStore(folder)
    rows = np.random.default_rng(order).permutation(store.training_rows())[:count]
    return store.train(rows)[0], store.train(rows, distortion)[0]


def measure(method, distortion, folder, network, sample, orders):
    """One ranking: seconds, memory beyond images and network, pairs used, filters selected."""
    model = keras.saving.load_model(network, compile=False)
    count = sample if method == PAPER else None
    clean, distorted = pairs(folder, distortion, orders[0], count)
    if method == PAPER:
        seconds, _, mib = call_measured(lambda: _time_of_paper(model, clean, distorted))
        return {"seconds": seconds, "peak_mib": mib, "pairs_run": len(clean), "selections": []}

    def rank():
        options = {"confidence": 0.95} if method == CONFIDENT else {}
        return kerasft.rank_filters(model, clean, distorted, layers=list(LAYERS), **options)

    ranking, seconds, mib = call_measured(rank)
    result = {
        "seconds": seconds,
        "peak_mib": mib,
        "pairs_run": max(layer.pairs for layer in ranking.values()),
        "selections": [ranking.select(fraction=0.25)],
    }
    for order in orders[1:] if method == CONFIDENT else ():
        clean, distorted = pairs(folder, distortion, order)
        result["selections"].append(rank().select(fraction=0.25))
    return result


def _time_of_paper(model, clean, distorted):
    batches = [(clean[i : i + 64], distorted[i : i + 64]) for i in range(0, len(clean), 64)]
    # Once on a few, so that the start of TensorFlow is not multiplied up.
    rank_as_in_the_paper(model, [(clean[:2], distorted[:2])], LAYERS)
    start = time.perf_counter()
    rank_as_in_the_paper(model, batches, LAYERS)
    return time.perf_counter() - start


def check(model, clean, distorted):
    """Both ways give the same distances, points and filters on a few pairs."""
    expected = rank_as_in_the_paper(model, [(clean, distorted)], LAYERS)
    ranking = kerasft.rank_filters(model, clean, distorted, layers=list(LAYERS))
    for name, (counts, mean) in expected.items():
        np.testing.assert_allclose(ranking[name].mean_distance, mean, rtol=1e-4, atol=1e-7)
        # Maps of two graphs differ in the last digit, which can swap two filters.
        differing = np.abs(ranking[name].borda_counts - counts).sum()
        if differing > 0.01 * counts.sum():
            raise SystemExit(f"The rankings of {name} differ in {differing} points.")


def summarise(runs, total, data):
    """Medians over the turns; times and filters are compared within each turn."""
    rows = []
    for (distortion, method), group in runs.groupby(["distortion", "method"], sort=False):
        group = group.set_index("turn").sort_index()
        others = runs[runs["distortion"] == distortion]
        paper, full = (
            others[others["method"] == name].set_index("turn").sort_index()
            for name in (PAPER, FULL)
        )
        scale = total / group["pairs_run"] if method == PAPER else 1
        seconds = group["seconds"] * scale
        faster = median_with_interval(paper["seconds"] * total / paper["pairs_run"] / seconds)
        row = {
            "data": data,
            "distortion": distortion,
            "method": method,
            "seconds": round(float(seconds.median()), 2),
            "extrapolated": "yes" if method == PAPER else "no",
            "times_faster": round(faster[0], 1),
            "low": round(faster[1], 1),
            "high": round(faster[2], 1),
            "pairs_run": int(group["pairs_run"].median()),
            "pairs": total,
            "peak_mib": round(float(group["peak_mib"].median()), 1),
            "turns": len(group),
        }
        if method != PAPER:
            row["share"] = round(float(group["pairs_run"].median()) / total, 4)
            selections = [selection for turn in group["selections"] for selection in turn]
            row |= agreement(selections, full["selections"].iloc[0][0])
        rows.append(row)
    return pd.DataFrame(rows).astype({"orders": "Int64"})


def agreement(selections, full):
    """Share of the top quarter that is also the full ranking's, over orders of the pairs."""
    same = {
        name: np.mean([len(set(chosen[name]) & set(full[name])) for chosen in selections])
        for name in LAYERS
    }
    shares = {"agreement": sum(same.values()) / sum(len(full[name]) for name in LAYERS)}
    shares |= {f"agreement_{name}": same[name] / len(full[name]) for name in LAYERS}
    rounded = {name: round(float(share), 4) for name, share in shares.items()}
    return rounded | {"orders": len(selections)}


if __name__ == "__main__":
    main()
