import numpy as np
import pandas as pd

from kerasft.report.charts import measure, ranking_figure, training_figure
from kerasft.report.checks import BASELINE
from kerasft.report.comparison import comparison_figure
from kerasft.report.criterion import criterion_of
from kerasft.report.images import is_reduced, png_uri
from kerasft.report.numbers import direction, moved, wilson
from kerasft.report.page import render_page
from kerasft.report.svg import inline_svg, plain_text

MOST_CHARTS = 12
MOST_CLASSES = 20
MOST_FILTERS_NAMED = 24


def render_report(report):
    """Render a report as one HTML page.

    The page is self-contained: no scripts, no files beside it, nothing loaded
    from elsewhere. Equal reports give equal pages.

    Args:
        report: A `Report`.

    Returns:
        The page as text, to be written as UTF-8.

    Example: see `Report`.
    """
    return render_page(
        "report.html.j2",
        report=report,
        headline=_headline(report),
        sets=_sets(report.accuracy),
        samples=_samples(report),
        layers=_layers(report),
        curves=_curves(report.history),
        classes=_classes(report.per_class),
        comparison=_comparison(report.comparison),
    )


def _headline(report):
    sentences = {"clean": ""}
    for row in _records(report.accuracy):
        name, result = str(row["images"]), moved(row["before"], row["after"])
        if name.startswith("distorted"):
            sentences["distorted"] = f"Accuracy on {name} {result}."
        elif name.startswith("clean"):
            sentences["clean"] = f"On {name} it {result}."
    return sentences


def _sets(accuracy):
    return [
        row
        | {
            "before_interval": wilson(row["before"], row["count"]),
            "after_interval": wilson(row["after"], row["count"]),
        }
        for row in _records(accuracy)
    ]


def _samples(report):
    distorted = [png_uri(image) for image in report.distorted_samples]
    clean = [None] * len(distorted)
    if report.clean_samples is not None:
        clean = [png_uri(image) for image in report.clean_samples]
    return {
        "pairs": list(zip(report.sample_labels, clean, distorted, strict=True)),
        "reduced": is_reduced(report.distorted_samples),
    }


def _layers(report):
    # Layers with selected filters are what the reader is here for.
    names = sorted(report.ranking, key=lambda name: not _chosen(report, name))
    drawn = set(names[:MOST_CHARTS])
    layers = [
        {
            "name": name,
            "filters": len(layer.order),
            "pairs": int(layer.pairs),
            "unit": "pair" if criterion_of(layer) is None else "image",
            "measure": measure(layer),
            "selected": _chosen(report, name),
            "leading": [int(index) for index in layer.order[:5]],
            "chart": _layer_chart(report, name, number) if name in drawn else None,
        }
        for number, (name, layer) in enumerate(report.ranking.items())
    ]
    unranked = [
        {"name": name, "selected": _chosen(report, name)}
        for name in report.selection
        if name not in report.ranking
    ]
    return {
        "charts": [layer for layer in layers if layer["chart"]],
        "others": [layer for layer in layers if not layer["chart"]],
        "unranked": unranked,
        "measures": sorted({layer["measure"] for layer in layers}),
        "criteria": sorted({criterion_of(layer) for layer in report.ranking.values()} - {None}),
        "most_named": MOST_FILTERS_NAMED,
    }


def _chosen(report, name):
    """The selected filters of a layer, from most to least affected."""
    chosen = [int(index) for index in report.selection.get(name, ())]
    if name not in report.ranking:
        return sorted(chosen)
    places = np.argsort(report.ranking[name].order)
    return sorted(chosen, key=lambda index: places[index])


def _layer_chart(report, name, number):
    layer = report.ranking[name]
    chosen = _chosen(report, name)
    first = "is affected most" if criterion_of(layer) is None else "has the highest score"
    label = (
        f"Bar chart: {measure(layer)} of the {len(layer.order)} filters of layer "
        f"{plain_text(name)}, from highest to lowest. Filter {int(layer.order[0])} "
        f"{first}. {len(chosen)} filters were fine-tuned."
    )
    return inline_svg(ranking_figure(layer, chosen), label, f"layer{number}")


def _curves(history):
    charts: list[str] = []
    drawn: set[str] = set()
    for metric in ("loss", "accuracy"):
        curves = {
            "train": history.get(metric, ()),
            "validation": history.get(f"val_{metric}", ()),
        }
        curves = {name: curve for name, curve in curves.items() if len(curve)}
        if not curves:
            continue
        drawn.update(curves)
        parts = [f"{name} from {curve[0]:.3g} to {curve[-1]:.3g}" for name, curve in curves.items()]
        label = f"Line chart: {metric} over the epochs, {', '.join(parts)}."
        figure = training_figure(history, metric)
        charts.append(inline_svg(figure, label, f"training-{metric}"))
    return {"charts": charts, "drawn": drawn}


def _classes(per_class):
    present = per_class.dropna(subset=["before", "after"])
    rows = _records(present)
    # Rounded, so that float noise cannot reorder classes that changed alike.
    rows.sort(key=lambda row: round(row["before"] - row["after"], 9))
    parts = [("", rows)]
    if len(rows) > MOST_CLASSES:
        half = MOST_CLASSES // 2
        parts = [("Best changes", rows[:half]), ("Worst changes", rows[-half:])]
    directions = [direction(row["before"], row["after"]) for row in rows]
    return {
        "parts": parts,
        "number": len(rows),
        "absent": len(per_class) - len(rows),
        "better": directions.count("up"),
        "worse": directions.count("down"),
    }


def _comparison(table):
    if table is None:
        return None
    rows = [
        row | {"interval": _interval(row), "baseline": row["method"] == BASELINE}
        for row in _records(table)
    ]
    label = "Bar chart: accuracy on distorted images. " + ", ".join(
        f"{plain_text(row['method'])} {row['distorted_accuracy']:.1%}" for row in rows
    )
    return {
        "rows": rows,
        "chart": inline_svg(comparison_figure(table), label, "comparison"),
    }


def _interval(row):
    low, high = row["distorted_low"], row["distorted_high"]
    return None if pd.isna(low) or pd.isna(high) else (low, high)


def _records(table):
    return table.to_dict("records")
