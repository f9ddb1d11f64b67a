"""One table of what was asked of each stage and what was reached, from the other benchmarks.

    python benchmarks/summary.py

Of several cases the least favourable is judged. Ratios are medians over turns.
"""

import pathlib

import frozen_prefix
import grid_scaling
import pandas as pd
import ranking
import startup
import training_step
from measuring import RESULTS, Parser

from kerasft.files import write_whole

# What writes each file.
FILES = {
    "bench-emd.csv": "emd.py",
    "bench-emd-numpy2.csv": "emd.py",
    "bench-ranking.csv": "ranking.py",
    "bench-ranking-scaling.csv": "ranking_scaling.py",
    "training_step.csv": "training_step.py",
    "bench-frozen-prefix.csv": "frozen_prefix.py",
    "bench-merged-inference.csv": "merged_inference.py",
    "bench-startup.csv": "startup.py",
    "bench-grid-scaling.csv": "grid_scaling.py",
    "exemplars.csv": "exemplars.py",
}
# Only where an environment with NumPy 2 is at hand.
OPTIONAL = ("bench-emd-numpy2.csv",)
ABOUT = ("date", "machine", "kerasft", "keras", "backend", "numpy", "python")


def main(arguments=None):
    parser = Parser(__doc__, "benchmarks.summary.csv")
    parser.add_argument("--results", default=RESULTS, type=pathlib.Path, help="folder of the files")
    args = parser.parse_args(arguments)
    table = summarise(read(args.results))
    print(table.to_string(index=False), flush=True)
    write_whole(args.out, table.to_csv(index=False).encode())


def read(folder):
    """The tables of all benchmarks by file name.

    Raises:
        SystemExit: One is not there.
    """
    tables = {}
    for name, script in FILES.items():
        if (folder / name).exists():
            tables[name] = pd.read_csv(folder / name)
        elif name not in OPTIONAL:
            raise SystemExit(
                f"Expected {folder / name}, which `python benchmarks/{script}` writes. "
                "Received: no such file."
            )
    return tables


def summarise(tables):
    """A row for each thing asked: stage, compared with, target, reached, met, and where from."""
    rows = []
    for name, describe in DESCRIBE.items():
        if name not in tables:
            continue
        table = tables[name]
        for stage, other, (target, reached, met) in describe(table):
            rows.append(
                {
                    "stage": stage,
                    "compared with": other,
                    "target": target,
                    "reached": reached,
                    "met": "yes" if met else "no",
                    "file": name,
                    **{column: table[column].iloc[0] for column in ABOUT},
                }
            )
    return pd.DataFrame(rows)


def at_least(values, wanted, form):
    """Target, what was reached, and whether the smallest value is enough."""
    values = list(values)
    return f"≥ {form(wanted)}", _span(values, form), min(values) >= wanted


def at_most(values, wanted, form):
    """Target, what was reached, and whether the largest value is low enough."""
    values = list(values)
    return f"≤ {form(wanted)}", _span(values, form), max(values) <= wanted


def _span(values, form):
    low, high = form(min(values)), form(max(values))
    return low if low == high else f"{low} to {high}"


def _times(value):
    return f"{value:.3g}×" if value < 100 else f"{value:.0f}×"


def _ratio(value):
    return f"{value:.3f}"


def _share(value):
    return f"{value:.3g}%" if isinstance(value, int) else f"{value:.1%}"


def _seconds(value):
    return f"{value:.2f} s"


def _emd(table):
    version = str(table["numpy"].iloc[0])
    loop = table[table["engine"].str.contains("scipy")]["ratio"]
    wanted = 15 if version.startswith("1.") else 40
    yield (
        f"Earth mover's distances of 96 maps, NumPy {version}",
        "a loop over SciPy",
        at_least(loop, wanted, _times),
    )


def _ranking(table):
    data, pairs = table["data"].iloc[0], table["pairs"].iloc[0]
    stage = f"Ranking by {pairs:,} pairs of {data}"
    confident = table[table["method"] == ranking.CONFIDENT]
    yield (
        f"{stage}, confidence 0.95",
        "the paper's procedure (extrapolated)",
        at_least(confident["times_faster"], 100, _times),
    )
    yield f"{stage}, share of pairs used", "all pairs", at_most(confident["share"], 0.05, _share)
    yield (
        f"{stage}, places of the top quarter",
        "the ranking by all pairs",
        at_least(confident["agreement"], 0.95, _share),
    )


def _training_step(table):
    table = table.set_index("variant")
    stage, ours = "A training step of a quarter of the filters", table.loc[training_step.QUARTER]
    base = table.loc[training_step.WHOLE]
    yield stage, "three layers whole", at_most([ours["ratio"]], 0.85, _ratio)
    yield stage, "the whole network", at_most([ours["ratio_to_whole_network"]], 0.62, _ratio)
    yield (
        stage,
        "masking the gradients of whole layers",
        at_most([ours["ratio_to_masking"]], 1.0, _ratio),
    )
    state = ours["optimizer_bytes"] / base["optimizer_bytes"]
    yield "State of the optimizer", "three layers whole", at_most([round(state, 3)], 0.25, _share)


def _frozen_prefix(table):
    cached = table[table["way"] == frozen_prefix.CACHED]
    yield (
        f"Fine-tuning {frozen_prefix.LAYER} with the frozen layers cached",
        "computing them in every epoch",
        at_most(cached["ratio"], 1.0, _ratio),
    )


def _merged_inference(table):
    table = table.set_index("model")
    merged = table.loc["merged"]
    # Where the source differs as much from itself, nothing is shown.
    met = max(merged["high"], table.loc["source again", "high"]) <= 1.05
    low, high = merged["low"], merged["high"]
    reached = f"{merged['ratio']:.2f} ({low:.2f} to {high:.2f})"
    yield "Predictions of the merged model", "its source", ("at most 1.05", reached, met)


def _startup(table):
    table = table.set_index("start")
    yield (
        "`import kerasft`, seconds added",
        "`import keras` alone",
        at_most([table.loc[startup.KERASFT, "added"]], 0.2, _seconds),
    )
    yield "`kerasft --help`", "—", at_most([table.loc[startup.HELP, "seconds"]], 0.5, _seconds)


def _grid_scaling(table):
    table = table.set_index("way")["speed_up_of_two_jobs"]
    stage = f"A grid of runs by {grid_scaling.TWO}"
    for way in (grid_scaling.LOOP, grid_scaling.ONE):
        yield stage, way, at_least([table[way]], 1.7, _times)


def _exemplars(table):
    for task, rows in table.groupby("task", sort=False):
        compared = rows.dropna(subset="times_faster")
        rival = rows.loc[~rows["engine"].eq("kerasft"), "engine"].iloc[0]
        yield (
            f"An exemplar of {compared['images'].min():,} to {compared['images'].max():,} ({task})",
            rival,
            at_least(compared["times_faster"], 1.0, _times),
        )


DESCRIBE = {
    "bench-emd.csv": _emd,
    "bench-emd-numpy2.csv": _emd,
    "bench-ranking.csv": _ranking,
    "training_step.csv": _training_step,
    "bench-frozen-prefix.csv": _frozen_prefix,
    "bench-merged-inference.csv": _merged_inference,
    "bench-startup.csv": _startup,
    "bench-grid-scaling.csv": _grid_scaling,
    "exemplars.csv": _exemplars,
}


if __name__ == "__main__":
    main()
