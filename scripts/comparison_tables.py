"""The tables of docs/comparison from the runs in docs/results.

    python scripts/comparison_tables.py

Of each comparison-NETWORK.csv, which compare_methods.py writes: a summary, an overview,
verdicts, and what the variant loses that keeps clean accuracy. Of both together: what each
part of our method is worth. Of idea-clean-kept-*.csv, runs of what was tried before that
variant: one table of all.
"""

import argparse
import pathlib

import numpy as np
import pandas as pd

from kerasft.experiments.results_file import typed
from kerasft.files import write_whole
from kerasft.statistics import mean_interval

RESULTS = pathlib.Path(__file__).parent.parent / "docs" / "results"
DISTORTIONS = ("awgn:15", "awgn:25", "blur:1", "blur:1.5", "jpeg")
OURS, CLEAN_KEPT, PAPERS = "sensitive filters", "sensitive filters, clean kept", "most"
# The paper tunes the first layers of its larger network.
FIRST = "most, first layers"
# What ours is called without one of its steps or with another size.
IDEA = "ours, "
# From worst to best.
VERDICTS = ("below", "open", "within", "best")
CELL = ["distortion", "labelled_images"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", default=RESULTS, type=pathlib.Path)
    args = parser.parse_args()
    files = {name: args.results / f"comparison-{name}.csv" for name in ("resnet8", "cifar10_cnn")}
    for path in files.values():
        write_tables(path)
    runs = {network: _runs(path) for network, path in files.items()}
    _write(parts(runs), args.results / "comparison-parts.csv")
    # All of them are of this network.
    source = runs["resnet8"]
    ideas = {
        path.stem.removeprefix("idea-clean-kept-"): _runs(path)
        for path in sorted(args.results.glob("idea-clean-kept-*.csv"))
    }
    _write(kept_before(source, ideas), args.results / "ideas-clean-kept.summary.csv")


def write_tables(path):
    """Write what is said of runs beside their file."""
    runs = _runs(path)
    for suffix, table in {
        ".summary.csv": summarise(runs),
        ".overview.csv": overview(runs),
        ".verdicts.csv": verdicts(runs),
        ".kept.csv": kept(runs),
    }.items():
        _write(table, path.with_suffix(suffix))


def _runs(path):
    return typed(pd.read_csv(path, dtype=str, keep_default_na=False))


def _write(table, path):
    write_whole(path, table.to_csv(index=False, float_format="%.4f").encode())


def summarise(runs):
    """Means and 95% intervals over the seeds, for each distortion, number of labels and method."""
    rows = []
    done = runs[runs["status"] == "done"]
    for key, group in done.groupby([*CELL, "method"], sort=False):
        row = dict(zip((*CELL, "method"), key, strict=True))
        for name in ("distorted_accuracy", "clean_accuracy"):
            values = mean_interval(group[name])
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))
        for name in ("trained_parameters", "layers_share", "added_parameters", "seconds"):
            row[name] = group[name].mean()
        rows.append(row | {"seeds": len(group)})
    return pd.DataFrame(rows)


def overview(runs):
    """A row for each number of labels and method: accuracies in percent, best on average first.

    *Beside ours* is how many points the mean over all distortions is above that of ours,
    seed by seed, with its 95% interval over the seeds; by it methods are sorted, since
    *distorted* is a mean over the seeds that a method has.
    """
    rows = []
    summary = summarise(runs)
    for (labels, method), group in summary.groupby(["labelled_images", "method"], sort=False):
        of = group.set_index("distortion")
        means = {
            kind: f"{of.loc[kind, 'distorted_accuracy']:.1%}" if kind in of.index else ""
            for kind in DISTORTIONS
        }
        rows.append(
            {
                "labels": labels,
                "method": method,
                **means,
                "distorted": group["distorted_accuracy"].mean() if all(means.values()) else np.nan,
                "beside ours": _beside_ours(runs[runs["labelled_images"] == labels], method),
                "clean": f"{group['clean_accuracy'].mean():.1%}",
                "share trained": f"{group['layers_share'].mean():.0%}",
                "seeds": group["seeds"].min(),
            }
        )
    table = pd.DataFrame(rows)
    ours = table.loc[table["method"] == OURS].set_index("labels")["distorted"]
    ours = table["labels"].map(ours).fillna(0)
    beside = table["beside ours"].str.split().str[0].astype(float) / 100
    table["order"] = (ours + beside).fillna(table["distorted"])
    table = table.sort_values(["labels", "order"], ascending=[True, False]).drop(columns="order")
    return table.assign(distorted=[f"{x:.1%}" if x == x else "" for x in table["distorted"]])


def _beside_ours(runs, method):
    """How far a method is ahead of ours in points; empty where they share no seed everywhere."""
    accuracy = runs[runs["status"] == "done"].pivot(
        index="seed", columns=["method", "distortion"], values="distorted_accuracy"
    )
    mine, ours = (
        accuracy.reindex(columns=[(name, kind) for kind in DISTORTIONS]).mean(axis=1, skipna=False)
        for name in (method, OURS)
    )
    if method == OURS or not (both := (mine - ours).dropna()).size:
        return ""
    points, low, high = (100 * value for value in mean_interval(both))
    return f"{points:+.1f}" if np.isnan(low) else f"{points:+.1f} ({low:+.1f} to {high:+.1f})"


def parts(runs):
    """*Beside ours* of ours without one of its steps or with another size.

    Args:
        runs: Dictionary from a network's name to its runs.

    A row for each idea and number of labels, and a column for each network.
    """
    tables = {}
    for network, all_runs in runs.items():
        table = overview(all_runs).set_index(["labels", "method"])["beside ours"]
        idea = table.index.get_level_values("method").str.startswith(IDEA)
        tables[network] = table[idea & (table != "")]
    return pd.DataFrame(tables).fillna("").sort_index().reset_index()


def kept(runs):
    """What the variant that keeps clean accuracy loses of it, and gains on distorted images.

    A row for each distortion and number of labels; *lost* and *gained* are against the
    source network, with the 95% interval of *lost* over the seeds.
    """
    rows = []
    done = runs[runs["status"] == "done"]
    for key, cell in done.groupby(CELL, sort=False):
        of = cell.pivot(index="seed", columns="method")
        if not {CLEAN_KEPT, "nothing"} <= set(of["clean_accuracy"]):
            continue
        of = of.loc[of["clean_accuracy"][CLEAN_KEPT].notna()]
        clean, distorted = of["clean_accuracy"], of["distorted_accuracy"]
        lost = clean["nothing"] - clean[CLEAN_KEPT]
        gained = distorted[CLEAN_KEPT] - distorted["nothing"]
        lost_mean, lost_low, lost_high = mean_interval(lost)
        rows.append(
            {
                **dict(zip(CELL, key, strict=True)),
                "clean": clean[CLEAN_KEPT].mean(),
                "lost": lost_mean,
                "lost_low": lost_low,
                "lost_high": lost_high,
                "distorted": distorted[CLEAN_KEPT].mean(),
                "gained": gained.mean(),
                "seeds": len(of),
            }
        )
    return pd.DataFrame(rows)


def kept_before(source, ideas):
    """What the ideas before the variant that keeps clean accuracy lost and gained, in points.

    Args:
        source: Runs of the same network; their "nothing" is what they are compared with, and
            the variant as it is now.
        ideas: Dictionary from name to runs.

    A row for each idea and number of labels: means over its runs, and the largest mean of
    *lost* in a cell; *gained now* is what the variant gains in the same runs.
    """
    rows = []
    alone = source[source["method"] == "nothing"].groupby([*CELL, "model_sha256"]).first()
    now = source[source["method"] == CLEAN_KEPT].set_index([*CELL, "seed"])["distorted_accuracy"]
    for idea, runs in ideas.items():
        done = runs[runs["status"] == "done"]
        before = alone.reindex(pd.MultiIndex.from_frame(done[list(alone.index.names)]))
        done = done.assign(
            lost=100 * (before["clean_accuracy"].to_numpy() - done["clean_accuracy"]),
            gained=100 * (done["distorted_accuracy"] - before["distorted_accuracy"].to_numpy()),
            now=100
            * (
                now.reindex(pd.MultiIndex.from_frame(done[list(now.index.names)])).to_numpy()
                - before["distorted_accuracy"].to_numpy()
            ),
        )
        for labels, group in done.groupby("labelled_images"):
            rows.append(
                {
                    "idea": idea,
                    "labels": labels,
                    "lost": round(group["lost"].mean(), 1),
                    "lost where most": round(group.groupby("distortion")["lost"].mean().max(), 1),
                    "gained": round(group["gained"].mean(), 1),
                    "gained now": round(group["now"].mean(skipna=False), 1),
                    "distortions": group["distortion"].nunique(),
                    "runs": len(group),
                }
            )
    return pd.DataFrame(rows)


def verdicts(runs):
    """Our method beside the best of its rivals and beside the paper's, cell by cell.

    A cell is a distortion and a number of labels. Ours and a rival are compared over the
    seeds that both have. Ours is *best* where its mean is at least as high, *within* where
    it is within the rival's 95% interval, else *below*; *open* where one seed alone gives
    no interval. The best rival is the one beside which ours is judged worst, of those the
    one furthest ahead. The paper's is `most` in all layers or in the first three, whichever
    does better. `seeds` are those of ours and the best rival.

    `over_rival` is the difference of ours and the best rival seed by seed, with its 95%
    interval: where that spans 0 the two cannot be told apart, whatever the verdict.
    `rivals_ahead` counts the rivals that are surely ahead of ours.
    """
    rows = []
    done = runs[runs["status"] == "done"]
    for key, cell in done.groupby(CELL, sort=False):
        accuracy = cell.pivot(index="seed", columns="method", values="distorted_accuracy")
        if OURS not in accuracy or PAPERS not in accuracy:
            continue
        ideas = [name for name in accuracy if name.startswith(IDEA)]
        rivals = accuracy.drop(columns=[OURS, *ideas, CLEAN_KEPT], errors="ignore")
        # Seed by seed: means over other seeds would not be those of the same draws.
        over = rivals.rsub(accuracy[OURS], axis=0)
        if over[PAPERS].count() == 0:
            continue
        judged = {name: _beside(accuracy[OURS], accuracy[name]) for name in _with_seeds(over)}
        rival = min(judged, key=lambda name: (VERDICTS.index(judged[name][0]), over[name].mean()))
        papers = over[_with_seeds(over.filter([PAPERS, FIRST]))].mean().idxmin()
        verdict, ours, mean, low, seeds = judged[rival]
        gain, gain_low, gain_high = mean_interval(over[papers].dropna())
        difference, difference_low, difference_high = mean_interval(over[rival].dropna())
        # Without an interval nothing is sure.
        ahead = sum(mean_interval(over[name].dropna())[2] < 0 for name in judged)
        rows.append(
            {
                **dict(zip(CELL, key, strict=True)),
                "ours": ours,
                "best_rival": rival,
                "rival": mean,
                "rival_low": low,
                "verdict": verdict,
                "over_rival": difference,
                "over_rival_low": difference_low,
                "over_rival_high": difference_high,
                "rivals_ahead": ahead,
                "papers": papers,
                "over_most": gain,
                "over_most_low": gain_low,
                "over_most_high": gain_high,
                "seeds": seeds,
            }
        )
    return pd.DataFrame(rows)


def _with_seeds(over):
    """The rivals that share two seeds with ours; one seed counts where none shares more."""
    seeds = over.count()
    return list(seeds.index[seeds >= min(2, seeds.max())])


def _beside(ours, rival):
    """The verdict; the means over the seeds that both have; the rival's low end; their number."""
    both = ours.notna() & rival.notna()
    ours, (mean, low, _) = ours[both].mean(), mean_interval(rival[both])
    if np.isnan(low):
        verdict = "open"
    else:
        verdict = "best" if ours >= mean else "within" if ours >= low else "below"
    return verdict, ours, mean, low, int(both.sum())


if __name__ == "__main__":
    main()
