"""Time and memory of a ranking against the number of pairs, up to 100,000.

    python benchmarks/ranking_scaling.py

The small network of the experiments ranks its filters under Gaussian blur on images
like photographs, which are made while the ranking runs, so that they take no memory.
Each ranking is a process of its own. The paper's procedure, with a call of SciPy for
every feature map, goes up to 3,000 pairs. Before anything is timed, its ranking of a
few pairs is compared with ours.
"""

import keras
import numpy as np
import pandas as pd
from images import photograph_like
from measuring import RESULTS, Parser, call_measured, in_fresh_process, write_table
from paper_ranking import rank_as_in_the_paper
from ranking import CONFIDENT, FULL, LAYERS, PAPER, check
from scaling_chart import write_chart

import kerasft

BASE, BATCH = 1000, 64
CASES = [
    (PAPER, (1000, 3000)),
    (FULL, (1000, 3000, 10_000, 30_000, 100_000)),
    (CONFIDENT, (1000, 3000, 10_000, 30_000, 100_000)),
]


def main(arguments=None):
    parser = Parser(__doc__, "bench-ranking-scaling.csv")
    args = parser.parse_args(arguments)
    clean = Shifted(24)[0]
    check(network(), clean, kerasft.GaussianBlur(1.0)(clean))
    rows = []
    for method, sizes in CASES[1:] if args.quick else CASES:
        for pairs in (96,) if args.quick else sizes:
            row = {"method": method, "distortion": "blur:1", "pairs": pairs}
            rows.append({**row, **in_fresh_process(measure, method, pairs)})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    write_table(table, args.out)
    write_chart(table, args.out.with_suffix(".svg"), panel="distortion", line="method", x="pairs")


class Shifted(keras.utils.PyDataset):
    """As many images as wanted from a thousand: each round shifts them by one more pixel."""

    def __init__(self, pairs):
        super().__init__()
        self.pairs = pairs
        self._base = photograph_like(min(BASE, pairs))

    def __len__(self):
        return -(-self.pairs // BATCH)

    def __getitem__(self, batch):
        rows = np.arange(batch * BATCH, min((batch + 1) * BATCH, self.pairs))
        rounds, places = np.divmod(rows, len(self._base))
        shifted = (
            np.roll(self._base[place], (shift // 32, shift % 32), axis=(0, 1))
            for place, shift in zip(places, rounds, strict=True)
        )
        return np.stack(list(shifted))


def network():
    """The committed baseline, or the same network with random weights."""
    files = sorted((RESULTS / "baselines").glob("cifar10_cnn-*.keras"))
    if files:
        return keras.saving.load_model(files[0], compile=False)
    keras.utils.set_random_seed(0)
    return kerasft.models.cifar10_cnn()


def measure(method, pairs):
    """Seconds and MiB beyond the network and a thousand images."""
    model, clean, blur = network(), Shifted(pairs), kerasft.GaussianBlur(1.0)

    def paper():
        images = (clean[number] for number in range(len(clean)))
        rank_as_in_the_paper(model, ((batch, blur(batch)) for batch in images), LAYERS)
        return pairs

    def ours():
        options = {"confidence": 0.95} if method == CONFIDENT else {}
        ranking = kerasft.rank_filters(model, clean, blur, layers=list(LAYERS), **options)
        return max(layer.pairs for layer in ranking.values())

    used, seconds, mib = call_measured(paper if method == PAPER else ours)
    return {"pairs_run": used, "seconds": round(seconds, 2), "peak_mib": round(mib, 1)}


if __name__ == "__main__":
    main()
